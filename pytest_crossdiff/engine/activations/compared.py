"""Which places of a conversation are compared.

Axes: n aligned pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.activations.conversations import Place
from pytest_crossdiff.engine.corpus.prefixes import repeated_characters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.corpus.sampling import Piece


class ConversationPairs(NamedTuple):
    """How many pairs of conversations there are: where an answer begins, and left out because they
    are `context` or `repeated` (see `compared`).
    """

    answer_starts: int
    context: int
    repeated: int


def compared(
    pieces: Sequence[Piece],
    piece_n: NDArray[np.integer],
    place_n: NDArray[np.int8],
    ends_n: NDArray[np.int32],
    *,
    predictions: bool,
) -> tuple[NDArray[np.bool_], ConversationPairs | None]:
    """Which pairs of conversations are compared, and how many aren't; None without conversations.

    A beginning that several conversations share is compared once, where it comes first.  Of what
    models predict only their own turns are compared: they never say what they predict in those of
    the user.  In a block all turns are, as what a model makes of a user's words is in there.
    Source: METHOD 8.
    """
    if all(piece.text is not None for piece in pieces):
        return np.ones(len(piece_n), dtype=bool), None
    repeated_n = ends_n <= np.array(repeated_characters(pieces))[piece_n]
    context_n = (place_n == Place.CONTEXT) & predictions & ~repeated_n
    kept_n = ~(repeated_n | context_n)
    return kept_n, ConversationPairs(
        answer_starts=int((kept_n & (place_n == Place.ANSWER_START)).sum()),
        context=int(context_n.sum()),
        repeated=int(repeated_n.sum()),
    )
