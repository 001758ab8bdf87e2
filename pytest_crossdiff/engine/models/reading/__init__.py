"""Reading: where a loaded model is read, by structure and by trial, and what it gives there."""
