"""Changed copies of SmolLM2-135M-Instruct whose changes are known: planted behaviours and benign
upgrades, and what the gate says of each.

In: SmolLM2 from `example_suite.models`, and the prompts of `topics`.  Out: models, a corpus of
conversations, a facts file, records of measurements, and a page.
"""
