"""Loading: from a resolved reference to a whole model and its tokenizer, or a clear error."""
