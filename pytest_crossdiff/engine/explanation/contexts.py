"""Where a difference fires: the text a person checks it by.

Axes: n held-out pairs.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pytest_crossdiff.engine.activations.conversations import Place
from pytest_crossdiff.engine.activations.rendering import shared_text
from pytest_crossdiff.results.difference import Context, Firing, Span, TokenCount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations.harvest import Harvest
    from pytest_crossdiff.engine.corpus.documents import Document
    from pytest_crossdiff.engine.corpus.sampling import Piece

    OtherActivations: TypeAlias = Callable[[NDArray[np.int64]], NDArray[np.floating]]

STARTS = {Place.ANSWER_START: "<start of answer>", Place.PART_START: "<start of part>"}
"""Names of the positions that predict the first token of an answer, or of its content after
reasoning, or of a call's name or argument."""
CONTEXT_CHARACTERS = 100
"""Characters of text shown on either side of the token."""
TOP, MAX_SAME_TOKEN, BANDS, TOKENS, FIRING = 5, 2, ((75, 50), (50, 25), (25, 0)), 8, 256


CLEAR = 0.1
"""Share of its largest activation below which a difference is not said to fire: a dictionary's
features are faintly active on many tokens that have nothing to do with what they stand for.
"""


def fires(activation_n: NDArray[np.float32], peak: float) -> NDArray[np.bool_]:
    """Where an activation reaches a tenth of the difference's peak, which other texts have set."""
    reached_n: NDArray[np.bool_] = activation_n >= max(CLEAR * peak, 1e-12)
    return reached_n


def clear_firing(activation_n: NDArray[np.float32]) -> NDArray[np.float32]:
    """The activations, 0 where they are below a tenth of the largest."""
    least = CLEAR * activation_n.max(initial=0.0)
    clear_n: NDArray[np.float32] = np.where(activation_n >= least, activation_n, 0)
    return clear_n.astype(activation_n.dtype)


@dataclass(frozen=True)
class HeldoutTokens:
    """The text behind the held-out pairs, as one model's tokenizer divides it.

    place_n: a `Place` each.  The text of a position that predicts an answer's first token is the
    line break in front of the answer.
    """

    pieces: Sequence[Piece]
    documents: Sequence[Document]
    piece_n: NDArray[np.int32]
    starts_n: NDArray[np.int32]
    ends_n: NDArray[np.int32]
    place_n: NDArray[np.int8] | None = None

    @classmethod
    def of(
        cls,
        harvest: Harvest,
        rows_n: NDArray[np.integer],
        pieces: Sequence[Piece],
        documents: Sequence[Document],
    ) -> HeldoutTokens:
        """The places of `rows_n` of a harvest."""
        columns = (harvest.piece_n, harvest.starts_n, harvest.ends_n)
        piece_n, starts_n, ends_n = (column[rows_n] for column in columns)
        return cls(pieces, documents, piece_n, starts_n, ends_n, harvest.place_n[rows_n])

    @functools.cached_property
    def names(self) -> list[str]:
        """The token texts, as a reader tells them apart: "pod" and " pod" are one."""
        texts = (self.token(i) for i in range(len(self.piece_n)))
        names = (sys.intern(text.strip() or text) for text in texts)
        if self.place_n is None:
            return list(names)
        return [STARTS.get(Place(p), n) for p, n in zip(self.place_n, names, strict=True)]

    @functools.cached_property
    def occurs(self) -> Counter[str]:
        """How often each of `names` occurs."""
        return Counter(self.names)

    def text(self, i: int) -> str:
        return shared_text(self.pieces[int(self.piece_n[i])])

    def token(self, i: int) -> str:
        return self.text(i)[int(self.starts_n[i]) : int(self.ends_n[i])]

    def around(self, i: int) -> NDArray[np.int64]:
        """The places that are shown with place i, it among them."""
        first, last = self._reach(i)
        # The places of a piece of text lie together, in the order of the text.
        piece = slice(*np.searchsorted(self.piece_n, (self.piece_n[i], self.piece_n[i] + 1)))
        inside = (self.starts_n[piece] >= first) & (self.ends_n[piece] <= last)
        found: NDArray[np.int64] = np.flatnonzero(inside) + piece.start
        return found

    def context(
        self, i: int, activation_n: NDArray[np.float32], others: Mapping[int, float], band: str
    ) -> Context:
        """others: the places `around` it, with what the other model makes of them."""
        text, start, end = self.text(i), int(self.starts_n[i]), int(self.ends_n[i])
        first, last = self._reach(i)
        return Context(
            document=self.documents[self.pieces[self.piece_n[i]].document].id,
            before=text[first:start],
            token=text[start:end],
            after=text[end:last],
            activation=_rounded(activation_n[i]),
            other=_rounded(others[i]),
            band=band,
            spans=tuple(
                Span(
                    int(self.starts_n[j]) - first,
                    int(self.ends_n[j]) - first,
                    _rounded(activation_n[j]),
                    _rounded(other_j),
                )
                for j, other_j in others.items()
            ),
        )

    def _reach(self, i: int) -> tuple[int, int]:
        """The first and last character that are shown with place i."""
        start, end = int(self.starts_n[i]), int(self.ends_n[i])
        return max(0, start - CONTEXT_CHARACTERS), min(len(self.text(i)), end + CONTEXT_CHARACTERS)

    def firing(self, i: int, activation: float) -> Firing:
        piece = self.pieces[int(self.piece_n[i])]
        digest = hashlib.sha256(self.text(i).encode()).hexdigest()[:16]
        document = self.documents[piece.document].id
        return Firing(document, digest, int(self.ends_n[i]), _rounded(activation))


def _rounded(value: float) -> float:
    return round(float(value), 4)


def contexts(
    heldout_tokens: HeldoutTokens, activation_n: NDArray[np.float32], other: OtherActivations
) -> tuple[Context, ...]:
    """The strongest places, each from another piece of text, then one of each quarter of the range:
    what a feature does at its top often isn't what it does overall.

    Of the strongest no more than `ALIKE` show one token, where there are others at least half as
    strong as the very strongest.  Places below a tenth of the largest activation are no firing.
    other: what the other model makes of given places.
    """
    fires = np.flatnonzero(clear_firing(activation_n) > 0)
    order = fires[np.argsort(-activation_n[fires], kind="stable")]
    texts: set[str] = set()
    strong = order[activation_n[order] >= activation_n.max(initial=0.0) / 2]
    top = _diverse_top(heldout_tokens, strong, texts)
    top += itertools.islice(_fresh(heldout_tokens, order, texts), TOP - len(top))
    chosen = dict.fromkeys(sorted(top, key=lambda i: -activation_n[i]), "top")
    for high, low in BANDS:
        band = order[len(order) * (100 - high) // 100 : max(1, len(order) * (100 - low) // 100)]
        for i in _fresh(heldout_tokens, (j for j in band if j not in chosen), texts):
            chosen[i] = f"{low}-{high} %"
            break
    if not chosen:
        return ()
    around = {i: heldout_tokens.around(i) for i in chosen}
    rows = np.unique(np.concatenate(list(around.values())))
    read = dict(zip(rows.tolist(), other(rows).tolist(), strict=True))
    others = {i: {j: read[j] for j in shown.tolist()} for i, shown in around.items()}
    return tuple(
        heldout_tokens.context(i, activation_n, others[i], band) for i, band in chosen.items()
    )


def firing(heldout_tokens: HeldoutTokens, activation_n: NDArray[np.float32]) -> tuple[Firing, ...]:
    """Where it fires, for finding it again: at most FIRING places, those of the least `rank`, so
    that another run that fires on the same places keeps the same ones.
    """
    found = [
        heldout_tokens.firing(i, float(activation_n[i]))
        for i in np.flatnonzero(activation_n > 0).tolist()
    ]
    return tuple(sorted(found, key=lambda f: f.rank)[:FIRING])


def _fresh(
    heldout_tokens: HeldoutTokens, candidates: NDArray[np.int64] | Iterator[int], seen: set[str]
) -> Iterator[int]:
    """Candidates whose piece of text isn't in `seen` yet; adds what it gives out."""
    for i in candidates:
        text = heldout_tokens.text(int(i))
        if text not in seen:
            seen.add(text)
            yield int(i)


def _diverse_top(
    heldout_tokens: HeldoutTokens, order: NDArray[np.int64], seen: set[str]
) -> list[int]:
    """At most TOP of `order`, none from a piece of text that is `seen`, no token more than ALIKE
    times.
    """
    shown: Counter[str] = Counter()
    top: list[int] = []
    for i in order.tolist():
        name, text = heldout_tokens.names[i], heldout_tokens.text(i)
        if len(top) < TOP and text not in seen and shown[name] < MAX_SAME_TOKEN:
            seen.add(text)
            shown[name] += 1
            top.append(i)
    return top


def token_counts(
    heldout_tokens: HeldoutTokens, activation_n: NDArray[np.float32]
) -> tuple[TokenCount, ...]:
    """The token texts that it fires on most, by summed activation times the share of their
    occurrences on which it fires, at a tenth of its largest activation at least.
    """
    activation_n = clear_firing(activation_n)
    weight: defaultdict[str, float] = defaultdict(float)
    fired: Counter[str] = Counter()
    for i in np.flatnonzero(activation_n > 0).tolist():
        name = heldout_tokens.names[i]
        weight[name] += activation_n[i]
        fired[name] += 1
    occurs = heldout_tokens.occurs
    distinctive = sorted(weight, key=lambda t: -weight[t] * fired[t] / occurs[t])
    return tuple(TokenCount(t, fired[t], occurs[t]) for t in distinctive[:TOKENS])
