"""Measurements that the documentation cites; each module says the command that repeats it."""
