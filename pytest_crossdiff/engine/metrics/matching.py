"""Which rows of two models' final states predict the same token, or the same span of text.

Axes: n rows of a model, m matched positions, v outputs of a model, s spans.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.activations.alignment import Tokens, align_tokens
from pytest_crossdiff.engine.activations.rendering import shared_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.engine.metrics.final_states import FinalStates

MIN_SHARED_WORDS, MIN_SHARED_TOKENS = 0.99, 0.9
"""Of the smaller vocabulary, and of the tokens: below, the models are compared over spans."""


class SharedWords(NamedTuple):
    """The outputs that both models have, as columns of either: the texts of the m-th are equal."""

    columns_a: NDArray[np.int64]
    columns_b: NDArray[np.int64]

    @classmethod
    def of(cls, words_a: Sequence[str], words_b: Sequence[str]) -> SharedWords:
        """Of several outputs with one text the first is matched with the first, and so on."""
        if list(words_a) == list(words_b):
            same = np.arange(len(words_a))
            return cls(same, same)
        numbered_b = {word: column for column, word in enumerate(_numbered(words_b))}
        found = [
            (column, numbered_b[word])
            for column, word in enumerate(_numbered(words_a))
            if word in numbered_b
        ]
        columns = np.array(found, dtype=np.int64).reshape(-1, 2)
        return cls(columns[:, 0], columns[:, 1])


class MatchedTokens(NamedTuple):
    """Rows of either model that predict one token behind one text."""

    words: SharedWords
    rows_a: NDArray[np.int64]
    rows_b: NDArray[np.int64]


class MatchedSpans(NamedTuple):
    """For each row of either model the span that its token is in, -1 for none; and of each span
    its piece, its last character, and its length in UTF-8 bytes.
    """

    span_a: NDArray[np.int64]
    span_b: NDArray[np.int64]
    piece_s: NDArray[np.int64]
    end_s: NDArray[np.int64]
    bytes_s: NDArray[np.int64]


def match_tokens(a: FinalStates, b: FinalStates) -> MatchedTokens | None:
    """The tokens that both models predict, None where the vocabularies or tokenizations differ."""
    words = SharedWords.of(a.words, b.words)
    if len(words.columns_a) < MIN_SHARED_WORDS * min(len(a.words), len(b.words)):
        return None
    to_b = np.full(len(a.words), -1, dtype=np.int64)
    to_b[words.columns_a] = words.columns_b
    rows: list[NDArray[np.int64]] = []
    for in_a, in_b in _by_piece(a, b):
        renamed = _tokens(a, in_a)._replace(ids=to_b[a.ids_n[in_a]].astype(np.int32))
        found = align_tokens(renamed, _tokens(b, in_b))
        same = renamed.ids[found[:, 0]] == b.ids_n[in_b[found[:, 1]]]
        rows.append(np.stack((in_a[found[same, 0]], in_b[found[same, 1]]), axis=1))
    matched = np.concatenate(rows) if rows else np.zeros((0, 2), dtype=np.int64)
    if len(matched) < MIN_SHARED_TOKENS * min(len(a.ids_n), len(b.ids_n)):
        return None
    return MatchedTokens(words, matched[:, 0], matched[:, 1])


def match_spans(a: FinalStates, b: FinalStates, pieces: Sequence[Piece]) -> MatchedSpans:
    """Stretches of text that both models predict whole, from one end of a word at which both
    tokenizers end a token to the next.
    """
    span_a, span_b = np.full(len(a.ids_n), -1), np.full(len(b.ids_n), -1)
    spans: list[tuple[int, int, int]] = []
    for in_a, in_b in _by_piece(a, b):
        piece = int(a.piece_n[in_a[0]])
        text = shared_text(pieces[piece])
        found = align_tokens(_tokens(a, in_a), _tokens(b, in_b))
        cuts = [(i, j) for i, j in found.tolist() if _ends_a_word(text, int(a.ends_n[in_a[i]]))]
        for (i, j), (next_i, next_j) in itertools.pairwise(cuts):
            start, end = int(a.ends_n[in_a[i]]), int(a.ends_n[in_a[next_i]])
            span_a[in_a[i + 1 : next_i + 1]] = span_b[in_b[j + 1 : next_j + 1]] = len(spans)
            spans.append((piece, end, len(text[start:end].encode(errors="surrogatepass"))))
    columns = np.array(spans, dtype=np.int64).reshape(-1, 3)
    return MatchedSpans(span_a, span_b, columns[:, 0], columns[:, 1], columns[:, 2])


def _numbered(words: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each word with how many equal ones stand before it."""
    seen: dict[str, int] = {}
    for word in words:
        seen[word] = seen.get(word, -1) + 1
        yield word, seen[word]


def _by_piece(
    a: FinalStates, b: FinalStates
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The rows of each piece that both models predict something of; rows lie by piece."""
    for piece in np.intersect1d(a.piece_n, b.piece_n):
        bounds = (np.searchsorted(x.piece_n, (piece, piece + 1)) for x in (a, b))
        in_a, in_b = (np.arange(*both) for both in bounds)
        yield in_a, in_b


def _tokens(of: FinalStates, rows: NDArray[np.int64]) -> Tokens:
    content = np.ones(len(rows), dtype=bool)
    return Tokens(of.ids_n[rows], of.starts_n[rows], of.ends_n[rows], content)


def _ends_a_word(text: str, end: int) -> bool:
    return end >= len(text) or not (text[end - 1].isalnum() and text[end].isalnum())
