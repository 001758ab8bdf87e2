"""The room that keeps: content-addressed artefacts, locks, integrity."""
