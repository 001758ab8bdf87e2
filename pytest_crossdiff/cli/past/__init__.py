"""`crossdiff history`: earlier results of one baseline as series, and how they are drawn."""
