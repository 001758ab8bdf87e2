"""The parts of a failing screen: differences in words, what to do next, where to read more."""
