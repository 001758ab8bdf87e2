"""What tests of several packages share: models, texts and results made for them, and processes."""
