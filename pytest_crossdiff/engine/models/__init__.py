"""Models: from what the user wrote to a model in memory with the place where it is read (METHOD 1).

In: a path, a hub id or an adapter, and a layer.
Out: `references.ModelReference` (where it lies, and the digest of what matters), without loading
anything; and `loaded.LoadedModel`, which reads b texts of p positions at a block (b, p, d) or in
what it predicts (b, p, 512), on a device and in a number type chosen by `devices`.
"""
