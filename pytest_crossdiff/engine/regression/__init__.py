"""Regression: what can be predicted from one model's vectors (METHOD 3, probe class).

In: vectors (n, d) and targets (n, p), block by block, in folds by document.
Out: `ridge.LinearMap` with its strength by held-out error, and `networks.Probe`, which adds a small
network where documents left out of its training confirm it.  Maps between the two models
and probes of features are both made of these.
"""
