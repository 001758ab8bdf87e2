"""What two models predict, word by word: which words both have, and how much is said in them.

A word is what an output stands for: the text of a token, or a tag.  Words are matched by their
text, whatever their number and order, so a padding token, padded tables or another order of a
vocabulary change nothing in what is compared.

Axes: w words of a model.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.models.reading.predictions import WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHARED, LEAST_SHARED = 0.99, 0.9
"""Two vocabularies of tokens are one where either model says at least `SHARED` of what it says in
words that the other has too, and both say at least `LEAST_SHARED`. The first holds for a vocabulary
that was added to or cut down. The second does not hold for a tokenizer that has the other's tokens
and many longer ones: it says one word where the other says the beginning of it."""
LISTED = 5
"""Words of one model alone that are named."""
_UNNAMED = re.compile(r"LABEL_\d+")


class Vocabulary(NamedTuple):
    """What a model's outputs stand for, each word once, and the probability that it gives each on
    the texts, on average over their tokens, shape (w,).  tags: words are tags of tokens.
    """

    words: tuple[str, ...]
    probability_w: NDArray[np.float64]
    tags: bool = False

    @property
    def unnamed(self) -> bool:
        """Whether the tags are numbered only, as transformers does where nobody names them."""
        return self.tags and all(map(_UNNAMED.fullmatch, self.words))


class ComparedVocabularies(NamedTuple):
    """shared: the probability that each model gives, on average, to words that both have.
    only: the words that one model alone has, the likeliest first, with their probabilities.
    same: predictions are compared word by word.
    """

    shared: tuple[float, float]
    only: tuple[tuple[tuple[str, float], ...], tuple[tuple[str, float], ...]]
    words: tuple[str, ...]
    same: bool

    @classmethod
    def of(cls, a: Vocabulary, b: Vocabulary) -> ComparedVocabularies:
        """Compare the vocabularies of a baseline and a candidate."""
        both = set(a.words) & set(b.words)
        (shared_a, only_a), (shared_b, only_b) = (_divide(v, both) for v in (a, b))
        same = max(shared_a, shared_b) >= SHARED
        if not (a.tags and b.tags):
            same = same and min(shared_a, shared_b) >= LEAST_SHARED
        words = (*a.words, *(word for word in b.words if word not in both))
        return cls((shared_a, shared_b), (only_a, only_b), words, same)


def _divide(of: Vocabulary, both: set[str]) -> tuple[float, tuple[tuple[str, float], ...]]:
    """The probability of the words in `both`, and the likeliest of the others with theirs."""
    alone = np.array([i for i, word in enumerate(of.words) if word not in both], dtype=np.int64)
    p_w = of.probability_w[alone]
    listed = np.argsort(-p_w, kind="stable")[:LISTED]
    shared = float(of.probability_w.sum() - p_w.sum()) / float(of.probability_w.sum())
    return shared, tuple((of.words[alone[i]], float(p_w[i])) for i in listed)


def named_by_position(a: Vocabulary, b: Vocabulary) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The words of both, where tags that are only numbered have the names that the other model
    gives to the tags at the same positions.
    """
    alike = a.tags and b.tags and len(a.words) == len(b.words) <= WIDTH
    if alike and a.unnamed != b.unnamed:
        return (b.words, b.words) if a.unnamed else (a.words, a.words)
    return a.words, b.words
