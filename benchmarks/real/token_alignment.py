"""How much of a text two tokenizers read in step.

    python -m benchmarks.real.token_alignment FOLDER_A FOLDER_B [CORPUS]

Prints, for the models in two folders, the share of each one's tokens that end where a token of the
other ends, and the share of the characters that they stand for.
"""

from __future__ import annotations

import sys

import numpy as np
from transformers import AutoTokenizer

from pytest_crossdiff.engine.activations.alignment import align_tokens, coverage
from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.corpus import documents
from pytest_crossdiff.engine.corpus.sampling import sample


def main(folder_a: str, folder_b: str, source: str = "builtin:pydoc") -> None:
    """Print the coverage of a sample of about 50,000 tokens."""
    drawn = sample(documents.read(source), tokens=50_000, context=256, heldout=0.3, seed=0)
    tokenizers = [AutoTokenizer.from_pretrained(folder) for folder in (folder_a, folder_b)]
    total = np.zeros(7)
    for piece in drawn.pieces:
        a, b = (tokenize(piece, t, chat_template="own", limit=4096).tokens for t in tokenizers)
        total += coverage(align_tokens(a, b), a, b)
    paired_a, paired_b, content_a, content_b, reached_a, reached_b, characters = total
    print(f"tokens      {paired_a / content_a:7.1%} {paired_b / content_b:7.1%}")
    print(f"characters  {reached_a / characters:7.1%} {reached_b / characters:7.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
