"""The product, and what one might use instead, on one pair of models."""
