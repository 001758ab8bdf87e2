"""What a run says while it measures."""
