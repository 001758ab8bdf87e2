"""What stored metrics are called in their entry of the cache."""

METRICS = "metrics.json"
POSITIONS = "positions.safetensors"
WORDS = "words.json"
UNCOMPARABLE = "uncomparable"
"""In the entry's metadata: why a pair has no metrics."""
