"""Sources: from what the user wrote to exactly one model, and the digest of what matters of it."""
