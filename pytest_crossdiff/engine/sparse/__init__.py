"""Sparse activations: matrices (tokens, features) of which few entries are not zero.

In: dense scores (t, m) and a threshold.
Out: `kernels.ActiveFeatures`, with the products that encoding, decoding and gradients need, in
plain torch or in Triton; and `firing.SparseActivations`, which stores them for many tokens.
"""
