"""What the split of a change is called in its entry of the cache."""

WORKFLOW = "workflow.json"
NO_WORKFLOW = "reason"
"""In the entry's metadata: why there is none."""
