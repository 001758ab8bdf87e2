"""Parts of what a run shows: a pair in the summary; differences in words, what to do next."""
