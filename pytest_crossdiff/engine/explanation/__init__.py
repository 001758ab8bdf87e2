"""Explanation: what a person needs to check a difference by; it decides nothing (METHOD 4).

In: groups of verified features, `Pairs`, the texts, and for effects the model that has them.
Out: `results.difference.Difference`s with contexts, tokens, descriptions, effects on the model's
output; and on request on which tokens of a new text they fire (`reading`).
"""
