"""Positions that are shown to a person: which ones, and with what text around them.

Axes: m compared positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.activations.rendering import shared_text
from pytest_crossdiff.results.output import ChangedPosition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.corpus.documents import Document
    from pytest_crossdiff.engine.corpus.sampling import Piece

SHOWN, CONTEXT_CHARACTERS = 10, 100
"""Positions that are shown, and how much text before each."""


class Token(NamedTuple):
    """The predicted token's place: its piece, and its characters there."""

    piece: int
    start: int
    end: int


def strongest(value_m: NDArray[np.float64], group_m: Sequence[object]) -> list[int]:
    """The positions with the largest value above 0, of each group of documents one, the largest
    first.
    """
    shown: dict[object, int] = {}
    for m in np.argsort(-value_m, kind="stable").tolist():
        if len(shown) == SHOWN or value_m[m] <= 0.0:
            break
        shown.setdefault(group_m[m], m)
    return list(shown.values())


def changed_position(
    at: Token,
    kl: float,
    baseline: tuple[str, float],
    candidate: tuple[str, float],
    pieces: Sequence[Piece],
    documents: Sequence[Document],
) -> ChangedPosition:
    """kl: in nats.  baseline, candidate: each model's most likely token with its probability."""
    text, document = shared_text(pieces[at.piece]), documents[pieces[at.piece].document]
    return ChangedPosition(
        document=document.id,
        slice=document.part,
        before=text[max(0, at.start - CONTEXT_CHARACTERS) : at.start],
        token=text[at.start : at.end],
        kl=kl,
        baseline_top=baseline[0],
        baseline_probability=baseline[1],
        candidate_top=candidate[0],
        candidate_probability=candidate[1],
    )
