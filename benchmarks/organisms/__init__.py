"""Model organisms: small language models with a known change, or a known absence of one.

    python -m benchmarks.organisms

trains a base model on real text, plants upgrades into copies of it, makes benign upgrades beside
them, and holds the product and what one might use instead against both (METHOD 6).
"""
