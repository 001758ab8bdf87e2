"""What CI services read: annotations, the step summary, JUnit properties."""
