"""Small models that were trained separately, of several architectures, tokenizers, sizes and mixes
of text, with fine-tunes of them: does a verdict over reference models hold its stated false-alarm
probability, and does it find and name what was planted?

The rule was chosen on the development half and frozen before a model of the reporting half was
made: the largest deviation, own token counts regressed out, features on at least 30 spans of 15
documents, a prior of 4 degrees of freedom (`engine/population/`).
"""
