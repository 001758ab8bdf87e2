"""The metrics of a pair, out of what was measured at each position.

Axes: m matched positions, s spans, g documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.metrics.intervals import Documents, transformed
from pytest_crossdiff.engine.metrics.positions import Token, changed_position, strongest
from pytest_crossdiff.results.output import ChangedPosition, OutputMetrics, SliceMetrics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.corpus.documents import Document
    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.engine.metrics.divergence import Divergences
    from pytest_crossdiff.engine.metrics.final_states import FinalStates
    from pytest_crossdiff.engine.metrics.matching import MatchedSpans, MatchedTokens

    Array = NDArray[np.float64]

KL_PERCENTILES = 50.0, 90.0, 99.0, 99.9
CHANGE_PERCENTILES = 0.1, 1.0, 10.0, 50.0, 90.0, 99.0, 99.9


class Texts(NamedTuple):
    """The texts behind the positions: pieces with the group of documents of each, and documents."""

    pieces: Sequence[Piece]
    group_of_piece: Sequence[int]
    documents: Sequence[Document]

    def groups(self, piece_n: NDArray[np.integer]) -> NDArray[np.int64]:
        found: NDArray[np.int64] = np.asarray(self.group_of_piece, dtype=np.int64)[piece_n]
        return found

    def document(self, piece: int) -> Document:
        return self.documents[self.pieces[piece].document]

    def slices(self, piece_n: NDArray[np.integer]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
        """The parts of the corpus, with the positions that lie in each."""
        names = np.array([self.document(i).part for i in range(len(self.pieces))], dtype=object)
        part_n = names[piece_n]
        for name in dict.fromkeys(part_n.tolist()):
            yield name, np.asarray(part_n == name, dtype=bool)


def token_metrics(
    found: Divergences,
    matched: MatchedTokens,
    a: FinalStates,
    b: FinalStates,
    texts: Texts,
) -> OutputMetrics:
    """Of models with one vocabulary: every number is of a token's prediction."""
    piece_m = a.piece_n[matched.rows_a]
    group_m = texts.groups(piece_m)
    documents = Documents(group_m)
    change_m = np.exp(found.logp_b) - np.exp(found.logp_a)
    log_change_m = found.logp_b - found.logp_a

    def of_slice(name: str, rows: NDArray[np.bool_]) -> SliceMetrics:
        inside = Documents(group_m[rows])
        return SliceMetrics(
            name=name,
            documents=len(inside),
            positions=int(rows.sum()),
            kl=inside.mean(found.kl_m[rows]),
            same_top=inside.mean(found.same_top[rows].astype(np.float64)),
            perplexity_ratio=transformed(inside.mean(-log_change_m[rows]), np.exp),
        )

    return OutputMetrics(
        unit="token",
        documents=len(documents),
        positions=len(piece_m),
        kl=documents.mean(found.kl_m),
        kl_percentiles=documents.percentiles(found.kl_m, KL_PERCENTILES),
        same_top=documents.mean(found.same_top.astype(np.float64)),
        probability_change=documents.mean(change_m),
        probability_change_rms=transformed(documents.mean(np.square(change_m)), np.sqrt),
        probability_change_percentiles=documents.percentiles(change_m, CHANGE_PERCENTILES),
        log_probability_change=documents.mean(log_change_m),
        log_probability_change_rms=transformed(documents.mean(np.square(log_change_m)), np.sqrt),
        perplexity_ratio=transformed(documents.mean(-log_change_m), np.exp),
        baseline_loss=documents.mean(-found.logp_a),
        candidate_loss=documents.mean(-found.logp_b),
        slices=tuple(of_slice(name, rows) for name, rows in texts.slices(piece_m)),
        largest=_largest(found, matched, a, b, texts),
        temperature=found.temperature,
        tempered_kl=documents.mean(found.tempered_m),
    )


def span_metrics(logp_a: Array, logp_b: Array, spans: MatchedSpans, texts: Texts) -> OutputMetrics:
    """Of models with different vocabularies: sums of log-probabilities over spans of text.

    logp_a, logp_b: of each row's actual token.
    """
    count = len(spans.piece_s)
    sum_a, sum_b = _summed(logp_a, spans.span_a, count), _summed(logp_b, spans.span_b, count)
    group_s, bytes_s = texts.groups(spans.piece_s), spans.bytes_s.astype(np.float64)
    documents = Documents(group_s)
    change_s = sum_b - sum_a

    def of_slice(name: str, rows: NDArray[np.bool_]) -> SliceMetrics:
        inside = Documents(group_s[rows])
        a_byte = inside.ratio(inside.sums(-change_s[rows]), inside.sums(bytes_s[rows]))
        return SliceMetrics(
            name=name,
            documents=len(inside),
            positions=int(rows.sum()),
            kl=None,
            same_top=None,
            perplexity_ratio=transformed(a_byte, np.exp),
        )

    bytes_g = documents.sums(bytes_s)
    return OutputMetrics(
        unit="span",
        documents=len(documents),
        positions=count,
        kl=None,
        kl_percentiles={},
        same_top=None,
        probability_change=None,
        probability_change_rms=None,
        probability_change_percentiles={},
        log_probability_change=documents.mean(change_s),
        log_probability_change_rms=transformed(documents.mean(np.square(change_s)), np.sqrt),
        perplexity_ratio=transformed(documents.ratio(documents.sums(-change_s), bytes_g), np.exp),
        baseline_loss=documents.ratio(documents.sums(-sum_a), bytes_g),
        candidate_loss=documents.ratio(documents.sums(-sum_b), bytes_g),
        slices=tuple(of_slice(name, rows) for name, rows in texts.slices(spans.piece_s)),
        largest=(),
    )


def _summed(logp_n: Array, span_n: NDArray[np.int64], count: int) -> Array:
    """Summed over the tokens of each span, shape (s,)."""
    inside_n = span_n >= 0
    summed: Array = np.bincount(span_n[inside_n], logp_n[inside_n], minlength=count).astype(float)
    return summed


def _largest(
    found: Divergences, matched: MatchedTokens, a: FinalStates, b: FinalStates, texts: Texts
) -> tuple[ChangedPosition, ...]:
    """The positions with the largest KL above 0, of each document one."""
    group_m = texts.groups(a.piece_n[matched.rows_a])
    positions = []
    for m in strongest(found.kl_m, group_m.tolist()):
        row = int(matched.rows_a[m])
        at = Token(int(a.piece_n[row]), int(a.starts_n[row]), int(a.ends_n[row]))
        top_a = a.words[int(found.top_a[m])], float(found.p_top_a[m])
        top_b = b.words[int(found.top_b[m])], float(found.p_top_b[m])
        kl = float(found.kl_m[m])
        positions.append(changed_position(at, kl, top_a, top_b, texts.pieces, texts.documents))
    return tuple(positions)
