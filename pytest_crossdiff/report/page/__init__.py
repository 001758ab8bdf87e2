"""The page: its script and style, and the list of several pages."""
