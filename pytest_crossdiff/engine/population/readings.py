"""What one model gives to the tokens of the held-out texts: all that a verdict over references
needs of it, without its weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from safetensors.numpy import load_file, save_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_crossdiff.store.cache import Entry

READING = "reading.safetensors"


class Reading(NamedTuple):
    """One model on the held-out texts, a row for each token that it predicts, by text and place.

    piece_n: the piece that the token lies in.  starts_n, ends_n: its characters there.  logp_n:
    its log-probability after the text before it, in nats.
    """

    piece_n: NDArray[np.int32]
    starts_n: NDArray[np.int32]
    ends_n: NDArray[np.int32]
    logp_n: NDArray[np.float64]

    @classmethod
    def load(cls, entry: Entry) -> Reading:
        """Read what `save` kept."""
        return cls.from_file(entry.verified_path(READING))

    @classmethod
    def from_file(cls, path: Path) -> Reading:
        """Read a file of readings."""
        columns = load_file(path)
        return cls(*(columns[name] for name in cls._fields))

    def save(self, entry: Entry) -> None:
        """Keep it in an entry that is locked and open."""
        with entry.writing(READING) as path:
            save_file({k: np.ascontiguousarray(x) for k, x in self._asdict().items()}, path)

    def of_piece(self, piece: int) -> slice:
        """The rows of a piece."""
        first, last = np.searchsorted(self.piece_n, (piece, piece + 1))
        return slice(int(first), int(last))
