"""PEFT adapters: the class that each was trained on, and its change merged into the base's weights,
compared with the model as PEFT serves it.
"""
