"""What a GPU makes of training and reading: `python -m benchmarks.speed.gpu`."""
