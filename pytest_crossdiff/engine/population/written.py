"""Words that a model writes more or less often than the references (METHOD 7).

The texts' own words hardly show a model that writes a word which the texts lack: it finds the words
of the texts nearly as likely as before.  What it writes itself shows the new word.

Each model writes from the same beginnings.  A word's count is the number of continuations that
contain it, brought to the amount that the models write on average.  On the scale 2 sqrt(n + 3/8) a
Poisson count has the variance 1, whatever its mean (Anscombe 1948), so rare and frequent words can
be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.population.deviations import Deviations, left_out

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LEAST = 5
"""Continuations of one model that have to contain a word."""
ANSCOMBE = 3 / 8
POISSON_VARIANCE = 1.0


class Written(NamedTuple):
    """What one model wrote.

    continuations: how many of them contain each word.  words: in all, repeated ones included.
    """

    continuations: Mapping[str, int]
    words: int


class WrittenWords(NamedTuple):
    """Each model's deviation from the others in each word.  words: in the deviations' order."""

    words: tuple[str, ...]
    deviations: Deviations


def written_words(written: Sequence[Written]) -> WrittenWords:
    """Judge what every model writes by the others, each with itself left out.

    Every model is treated alike: the words are those that any one of the models writes often
    enough.  The shifts are on the scale of square roots of counts.
    """
    words = sorted({w for of in written for w, n in of.continuations.items() if n >= LEAST})
    if not words:
        nothing_mf = np.zeros((len(written), 0))
        return WrittenWords((), Deviations(nothing_mf, nothing_mf))
    amount_m = np.array([of.words for of in written], dtype=np.float64)
    count_mf = np.array([[of.continuations.get(w, 0) for w in words] for of in written])
    root_mf = 2 * np.sqrt(count_mf * (amount_m.mean() / amount_m)[:, None] + ANSCOMBE)
    found = left_out(root_mf, np.zeros_like(root_mf), POISSON_VARIANCE)
    return WrittenWords(tuple(words), found)
