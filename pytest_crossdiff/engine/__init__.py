"""The room that computes: models, activations, crosscoders, verification."""
