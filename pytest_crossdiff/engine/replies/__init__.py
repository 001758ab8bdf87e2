"""Replies: what each model answers to the prompts of the corpus, and how surprising that is to the
other (METHOD 8).

In: the corpus's conversations, cut before their last answer, and one model at a time.
Out: `results.replies.Replies`: both answers side by side, how surprising each is to the other model
(nats a token, beside that model's own answer), where the two part, and what both models would have
said there.
"""
