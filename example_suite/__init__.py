"""A suite as a team would have it: ordinary evals and the gate, on real models."""
