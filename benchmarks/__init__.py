"""Measurements of the product, and the pages of `docs/` that are generated from them.

Packages: `toy` (activations whose differences are known), `organisms` (small language models with
a planted change or none), `real` (published models), `speed` (time and memory), `peers` (other
trainers of sparse dictionaries).  Each keeps what it measured in its folder `results/`.
"""
