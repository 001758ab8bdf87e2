"""Where a difference fires: the text a person checks it by.

Axes: n held-out pairs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.result import Context, TokenCount

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.corpus import Document
    from pytest_crossdiff.engine.harvest import Harvest
    from pytest_crossdiff.engine.sampling import Piece

REACH = 100
"""Characters of text shown on either side of the token."""
TOP, BANDS, TOKENS = 5, ((75, 50), (50, 25), (25, 0)), 8


class Places(NamedTuple):
    """The text behind the held-out pairs, as one model's tokenizer divides it."""

    pieces: Sequence[Piece]
    documents: Sequence[Document]
    piece_n: NDArray[np.int32]
    starts_n: NDArray[np.int32]
    ends_n: NDArray[np.int32]

    @classmethod
    def of(
        cls,
        harvest: Harvest,
        rows_n: NDArray[np.int64],
        pieces: Sequence[Piece],
        documents: Sequence[Document],
    ) -> Places:
        """The places of `rows_n` of a harvest."""
        columns = (harvest.piece_n, harvest.starts_n, harvest.ends_n)
        return cls(pieces, documents, *(column[rows_n] for column in columns))

    def text(self, i: int) -> str:
        piece = self.pieces[int(self.piece_n[i])]
        if piece.text is not None:
            return piece.text
        return "\n".join(message.content for message in piece.messages)

    def token(self, i: int) -> str:
        return self.text(i)[int(self.starts_n[i]) : int(self.ends_n[i])]

    def context(self, i: int, activation: float, band: str) -> Context:
        text, start, end = self.text(i), int(self.starts_n[i]), int(self.ends_n[i])
        return Context(
            document=self.documents[self.pieces[self.piece_n[i]].document].id,
            before=text[max(0, start - REACH) : start],
            token=text[start:end],
            after=text[end : end + REACH],
            activation=round(activation, 4),
            other=0.0,
            band=band,
            spans=(),
        )


def contexts(places: Places, activation_n: NDArray[np.float32]) -> tuple[Context, ...]:
    """The strongest places, from different documents where there are enough, then one of each
    quarter of the range: what a feature does at its top often isn't what it does on the whole.
    """
    fires = np.flatnonzero(activation_n > 0)
    order = fires[np.argsort(-activation_n[fires], kind="stable")]
    chosen: dict[int, str] = {}
    texts: set[str] = set()
    for i in _fresh(places, order, texts):
        chosen[i] = "top"
        if len(chosen) == TOP:
            break
    for high, low in BANDS:
        band = order[len(order) * (100 - high) // 100 : max(1, len(order) * (100 - low) // 100)]
        for i in _fresh(places, (j for j in band if j not in chosen), texts):
            chosen[i] = f"{low}-{high} %"
            break
    return tuple(places.context(i, float(activation_n[i]), band) for i, band in chosen.items())


def _fresh(
    places: Places, candidates: NDArray[np.int64] | Iterator[int], seen: set[str]
) -> Iterator[int]:
    """Candidates whose piece of text isn't in `seen` yet; adds what it gives out."""
    for i in candidates:
        text = places.text(int(i))
        if text not in seen:
            seen.add(text)
            yield int(i)


def token_counts(
    places: Places, activations: Sequence[NDArray[np.float32]]
) -> list[tuple[TokenCount, ...]]:
    """For each array of activations over the same places: the token texts that it fires on most,
    by summed activation times the share of their occurrences on which it fires.
    """
    texts = [places.token(i) for i in range(len(places.piece_n))] if activations else []
    names = [text.strip() or text for text in texts]  # "pod" and " pod" are one to a reader
    occurs = Counter(names)
    counts = []
    for activation_n in activations:
        weight: defaultdict[str, float] = defaultdict(float)
        fired: Counter[str] = Counter()
        for i in np.flatnonzero(activation_n > 0).tolist():
            weight[names[i]] += activation_n[i]
            fired[names[i]] += 1
        telling = sorted(weight, key=lambda t: -weight[t] * fired[t] / occurs[t])
        counts.append(tuple(TokenCount(t, fired[t], occurs[t]) for t in telling[:TOKENS]))
    return counts
