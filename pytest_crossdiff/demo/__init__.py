"""A first verdict without any download: conversations of a shop, a small model that learns to
answer them, and the same model after an update that taught it to refuse returns.
"""
