"""What can read a model's blocks: transformers, and what is used instead of it once it is checked
against transformers on the run's own texts.
"""
