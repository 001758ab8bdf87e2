"""Verification: which features only one model has, tested on held-out documents (METHOD 3 and 4).

In: trained crosscoders and `Pairs`.
Out: for each crosscoder a `verify.Verification`: screened features with exclusivity, intervals,
p-values and strength; and of all of them together `grouping.Group`s, which are the differences that
are counted: features that fire together, confirmed by most crosscoders or possible.
"""
