"""The statistics of a verdict over reference models (METHOD 7): from log-probabilities of spans and
counts of words to deviations, a bound and names.  Nothing here knows files or models.
"""
