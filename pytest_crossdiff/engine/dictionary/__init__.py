"""Dictionaries: crosscoders over pairs of vectors (METHOD 2).

In: `Pairs` (t, a) and (t, b), and the settings.
Out: `trained.TrainedCrosscoder` for each seed, from the cache or trained: m features, of which the
first are baseline-only, the last candidate-only, the rest shared; with maps between the models
(`innovation`) and the normalisation of its inputs.
"""
