"""Small models that were trained separately, of several architectures, tokenizers, sizes and mixes
of text, with fine-tunes of them: does a verdict over reference models hold its stated false-alarm
probability, and does it find and name what was planted?
"""
