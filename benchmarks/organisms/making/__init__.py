"""Texts, the base model, and its upgrades: how each is made, and whether it is what it claims."""
