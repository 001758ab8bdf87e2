"""What a stored population is called in its entry of the cache."""

POPULATION = "population.json"
WHY_NONE = "why_none"
"""In the entry's metadata: why a pair could not be judged by its references."""
