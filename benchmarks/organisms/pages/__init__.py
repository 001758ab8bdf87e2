"""The sections of `docs/evidence.md` about organisms, drawn from the committed results."""
