"""Small models that were trained separately, of several architectures, tokenizers, sizes and mixes
of text, with fine-tunes of them: does a verdict over reference models hold its stated false-alarm
probability, and does it find and name what was planted?

Two rules were frozen, each in a commit, before the reporting half was judged by it.  The first
looks at the texts alone: the largest deviation over features on at least 30 spans of 15 documents,
own token counts regressed out, a prior of 4 degrees of freedom.  The second looks at the words that
the models write, too, and flags a model whose largest deviation over both exceeds that of every
reference (`engine/population/`).  It was chosen on the development half when the first rule's
figures of the reporting half were known.
"""
