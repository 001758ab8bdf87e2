"""Output metrics: how much the two models' predictions differ on held-out text (METHOD 8).

In: one model at a time and the held-out pieces.
Out: `final_states.FinalStates` for each model (what its head reads at each position, and the head),
and from two of them `results.output.OutputMetrics`.

Both full distributions are needed at every position, 49,152 numbers each and more, yet one model is
resident at a time.  So the vectors that the head reads are kept instead of distributions: a hundred
times fewer numbers, from which the stored heads make the same logits as the models do, bit by bit
where the head is a plain linear map.  A model is read once, without its head, and the heads run
afterwards: together the work of two plain forward passes.
"""
