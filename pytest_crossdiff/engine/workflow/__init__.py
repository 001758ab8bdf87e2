"""Has the model changed, or the workflow around it?  (METHOD 8)

In: the plans and the stored predictions of one pair of models on two corpora, that of the last
sign-off and today's.  Out: `results.workflow.Workflow`, kept beside the result.
"""
