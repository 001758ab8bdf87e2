"""Computes a result, stage by stage: corpus, models, activations, dictionary, verification,
controls, explanation.

`pipeline` asks the cache first; `plan` says what a run will do and under which keys its artefacts
lie; `compute` is the whole job on one page, one call into one package for each stage.
"""
