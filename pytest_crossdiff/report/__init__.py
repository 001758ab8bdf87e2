"""The room that tells: what is shown on the terminal."""
