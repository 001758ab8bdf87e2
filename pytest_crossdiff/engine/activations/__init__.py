"""Activations: both models' vectors at the same places of the same texts (METHOD 1).

In: the sample's pieces and one model at a time.
Out: `harvest.Harvest` for each model (n vectors of width d in shards on disk, with the place of
each in the text), and from two of them `pairs.Pairs` (aligned by character offsets, normalised,
split into training and held-out documents), which every later stage reads.
"""
