"""One module for each command; all of them are added to the tree in `cli.parser`."""
