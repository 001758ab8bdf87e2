"""The sections of `docs/evidence/organisms.md`, drawn from the committed results."""
