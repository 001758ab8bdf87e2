"""What reports say of the models' output: metrics, and replies side by side."""
