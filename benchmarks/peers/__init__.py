"""A training step of this package beside those of other trainers: `python -m benchmarks.peers`."""
