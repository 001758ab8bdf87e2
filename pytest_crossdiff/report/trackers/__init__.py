"""Experiment trackers: MLflow, W&B, trackio."""
