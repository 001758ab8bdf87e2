"""One dictionary in several shards of its features, on one process or on many, for dictionaries
that don't fit one device.
"""
