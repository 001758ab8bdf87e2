"""What the text has in common where a difference fires: its words, the place, the corpus part.

Axes: n held-out pairs.
"""

from __future__ import annotations

import re
import sys
from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.explanation.contexts import clear_firing
from pytest_crossdiff.results.difference import Description

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.explanation.contexts import HeldoutTokens

WINDOW_WORDS = 5
"""Words on either side of a token that are near it."""
WORDS, LEAST_COUNT, LEAST_LIFT = 8, 3, 2.0
"""Words that are named; how often one must stand near the firing, in as many pieces of text, and
how many times as often as overall."""
SLICES, LEAST_TOKENS = 8, 100
"""Parts of the corpus that are named, and the pairs that each must have."""
TENTHS = 10

_IDEOGRAPHS = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"  # written without spaces
_WORD = re.compile(rf"[{_IDEOGRAPHS}]|[^\W_{_IDEOGRAPHS}]+(?:['\u2019-][^\W_{_IDEOGRAPHS}]+)*")


class _PieceWords(NamedTuple):
    """The words of a piece, each with the characters [start, end) that it takes."""

    words: list[str]
    starts: array[int]
    ends: array[int]

    @classmethod
    def of(cls, text: str) -> _PieceWords:
        words, starts, ends = [], array("i"), array("i")
        for found in _WORD.finditer(text):
            words.append(sys.intern(found[0].casefold()))
            starts.append(found.start())
            ends.append(found.end())
        return cls(words, starts, ends)


def describe(
    heldout_tokens: HeldoutTokens, slices: Sequence[str], activations: Sequence[NDArray[np.float32]]
) -> list[Description]:
    """For each array of activations over the same places, shape (n): what it fires on.

    slices: for each document, the part of the corpus it belongs to.  Promoted and suppressed tokens
    are left to those who have the model.
    """
    if not activations:
        return []
    texts = _Words(heldout_tokens)
    parts = _Parts.of(heldout_tokens, slices)
    return [
        Description(
            words=texts.distinctive_words(activation_n),
            positions=_positions(heldout_tokens, activation_n > 0),
            slices=parts.shares(activation_n > 0),
        )
        for activation_n in map(clear_firing, activations)
    ]


class _Words:
    """The words of the held-out pieces, and those near each place."""

    def __init__(self, heldout_tokens: HeldoutTokens) -> None:
        self._places = heldout_tokens
        self._of_piece = {
            int(heldout_tokens.piece_n[i]): _PieceWords.of(heldout_tokens.text(i))
            for i in np.unique(heldout_tokens.piece_n, return_index=True)[1].tolist()
        }
        self._total = Counter(w for of in self._of_piece.values() for w in of.words)

    def distinctive_words(self, activation_n: NDArray[np.float32]) -> tuple[tuple[str, float], ...]:
        """The words that stand near the firing more often than in the text overall, with their
        lift: (share of the words near, each for as much as the activation is strong) / (share of
        all words, one added to the count).
        """
        near: Counter[str] = Counter()
        weight: defaultdict[str, float] = defaultdict(float)
        pieces: defaultdict[str, set[int]] = defaultdict(set)
        for piece, word, strongest in self._near(activation_n):
            near[word] += 1
            weight[word] += strongest
            pieces[word].add(piece)
        every, total = sum(weight.values()), self._total.total()
        lifts = {
            word: (weight[word] / every) / ((self._total[word] + 1) / (total + 1))
            for word, count in near.items()
            if count >= LEAST_COUNT and len(pieces[word]) >= LEAST_COUNT
        }
        named = sorted((w for w in lifts if lifts[w] >= LEAST_LIFT), key=lambda w: (-lifts[w], w))
        return tuple((word, round(lifts[word], 1)) for word in named[:WORDS])

    def _near(self, activation_n: NDArray[np.float32]) -> Iterator[tuple[int, str, float]]:
        """Each occurrence of a word near some firing: its piece, the word, and the strongest
        activation near it.
        """
        strongest: defaultdict[tuple[int, int], float] = defaultdict(float)
        for i in np.flatnonzero(activation_n > 0).tolist():
            piece, activation = int(self._places.piece_n[i]), float(activation_n[i])
            words, starts, ends = self._of_piece[piece]
            first = bisect_left(ends, int(self._places.starts_n[i]) + 1)
            last = bisect_left(starts, int(self._places.ends_n[i]))
            for number in range(max(0, first - WINDOW_WORDS), min(len(words), last + WINDOW_WORDS)):
                strongest[piece, number] = max(strongest[piece, number], activation)
        for (piece, number), activation in strongest.items():
            yield piece, self._of_piece[piece].words[number], activation


def _positions(heldout_tokens: HeldoutTokens, fires_n: NDArray[np.bool_]) -> tuple[float, ...]:
    """The share of the firing in each tenth of the pieces, by characters; () without any."""
    fired = np.flatnonzero(fires_n)
    if not len(fired):
        return ()
    lengths = np.array([len(heldout_tokens.text(i)) for i in fired.tolist()])
    tenth = np.minimum(
        heldout_tokens.starts_n[fired] * TENTHS // np.maximum(1, lengths), TENTHS - 1
    )
    return tuple(round(s, 4) for s in (np.bincount(tenth, minlength=TENTHS) / len(fired)).tolist())


class _Parts(NamedTuple):
    """The parts of the corpus, sorted, and which of them each place is in."""

    names: list[str]
    part_n: NDArray[np.int32]

    @classmethod
    def of(cls, heldout_tokens: HeldoutTokens, slices: Sequence[str]) -> _Parts:
        pieces, index_n = np.unique(heldout_tokens.piece_n, return_inverse=True)
        part_of = [slices[heldout_tokens.pieces[i].document] for i in pieces.tolist()]
        names = sorted(set(part_of))
        number = {name: i for i, name in enumerate(names)}
        return cls(names, np.array([number[part] for part in part_of], dtype=np.int32)[index_n])

    def shares(self, fires_n: NDArray[np.bool_]) -> dict[str, float]:
        """The share of pairs it fires on in each part, the largest first; {} where all of the
        corpus is one part.
        """
        if len(self.names) < 2:
            return {}
        counts = np.bincount(self.part_n)
        shares = np.bincount(self.part_n, weights=fires_n) / counts
        order = [
            i for i in np.argsort(-shares, kind="stable").tolist() if counts[i] >= LEAST_TOKENS
        ]
        return {self.names[i]: round(float(shares[i]), 6) for i in order[:SLICES]}
