"""Texts: from whatever file they are in to the pieces that both models read (METHOD 1).

In: a source as the settings name it, or records that a fixture returns.
Out: `documents.Corpus` (documents of plain text or of messages, with a digest) and from it
`sampling.Sample` (pieces of at most `crossdiff_context` tokens, each training or held-out, split
by document).  Standard library only: a cached verdict reads no more than this.
"""
