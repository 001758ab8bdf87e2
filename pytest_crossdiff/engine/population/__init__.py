"""Verdicts over a population of reference models (METHOD 7): does a model differ from the
references in a way in which no reference differs from the others?

In: the log-probability that each model gives to the tokens of the held-out texts.
Out: `results.population.Population`, with what it says of the candidate and of the baseline.

Models that were trained separately differ everywhere, so no threshold can be derived from one pair.
Here the references supply the threshold.  The one assumption is *exchangeability*: without a real
difference the judged model is one more draw from what the references were drawn from.

Axes: m models, the judged one first and then the k references; s spans of text; f features; g
documents; n tokens of a model; i entries of a sparse matrix.
"""
