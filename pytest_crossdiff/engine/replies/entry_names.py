"""What stored comparisons of replies are called in their entry of the cache."""

REPLIES = "replies.json"
NO_REPLIES = "reason"
"""In the entry's metadata: why a pair has none."""
