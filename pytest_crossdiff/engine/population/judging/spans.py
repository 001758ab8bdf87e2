"""Spans of text that models with any tokenizers have in common (METHOD 7).

A span reaches from one end of a word at which every tokenizer ends a token to the next such end.
The log-probability of a span is the sum over its tokens, which is comparable between vocabularies.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytest_crossdiff.engine.activations.alignment import complete_ends

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_crossdiff.engine.population.readings import Reading

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class Spans(NamedTuple):
    """The spans that all models predict, by text and place.

    piece_s: the piece of each.  start_s, end_s: its characters there.  logp_ms: log p of each model
    in nats.  tokens_ms: in how many tokens each model reads it.
    """

    piece_s: Indices
    start_s: Indices
    end_s: Indices
    logp_ms: Array
    tokens_ms: Array

    @property
    def size(self) -> int:
        return len(self.piece_s)


def common_spans(readings: Sequence[Reading], texts: Mapping[int, str]) -> Spans:
    """The spans that every one of `readings` predicts whole.

    texts: of each piece.  A piece that one of the models did not read has none.
    """
    pieces = reduce(np.intersect1d, (reading.piece_n for reading in readings)).tolist()
    parts = [_of_piece(readings, piece, texts[piece]) for piece in pieces]
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        empty = np.zeros((len(readings), 0))
        return Spans(none, none, none, empty, empty)
    columns = zip(*parts, strict=True)
    return Spans(*(np.concatenate(column, axis=-1) for column in columns))


def _of_piece(readings: Sequence[Reading], piece: int, text: str) -> Spans:
    rows = [reading.of_piece(piece) for reading in readings]
    tokens = [
        (r.starts_n[at], r.ends_n[at], r.logp_n[at]) for r, at in zip(readings, rows, strict=True)
    ]
    shared = reduce(np.intersect1d, (_cuts(starts, ends) for starts, ends, _ in tokens))
    cuts = shared[[_ends_a_word(text, int(cut)) for cut in shared]].astype(np.int64)
    count = max(0, len(cuts) - 1)
    whole_s = np.ones(count, dtype=bool)
    logp_ms, tokens_ms = np.zeros((len(tokens), count)), np.zeros((len(tokens), count))
    for m, (starts, ends, logp) in enumerate(tokens):
        span_n = np.searchsorted(cuts, ends, side="left") - 1
        inside = (span_n >= 0) & (span_n < count)
        span_n = span_n[inside]
        tokens_ms[m] = np.bincount(span_n, minlength=count)
        logp_ms[m] = np.bincount(span_n, logp[inside], minlength=count)
        first = np.full(count, len(text))
        np.minimum.at(first, span_n, starts[inside])
        whole_s &= tokens_ms[m] > 0
        # Between the turns of a conversation there is text that is not predicted.
        whole_s &= [not text[a:b].strip() for a, b in zip(cuts, first.tolist(), strict=False)]
    return Spans(
        np.full(int(whole_s.sum()), piece, dtype=np.int64),
        cuts[:-1][whole_s],
        cuts[1:][whole_s],
        logp_ms[:, whole_s],
        tokens_ms[:, whole_s],
    )


def _cuts(starts: NDArray[np.int32], ends: NDArray[np.int32]) -> NDArray[np.int32]:
    """Characters at which the model has read whole tokens, and those where a stretch begins."""
    before = np.append(-1, ends[:-1])
    return np.union1d(complete_ends(starts, ends), starts[starts > before])


def _ends_a_word(text: str, end: int) -> bool:
    inside = 0 < end < len(text)
    return not (inside and text[end - 1].isalnum() and text[end].isalnum())
