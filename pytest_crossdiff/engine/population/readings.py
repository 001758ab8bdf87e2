"""What one model gives to the tokens of the held-out texts: all that a verdict over references
needs of it, without its weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from safetensors.numpy import load_file, save_file

from pytest_crossdiff.engine.metrics.divergence import actual_log_probabilities
from pytest_crossdiff.engine.metrics.final_states import final_states

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.engine.metrics.final_states import FinalStates
    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.engine.population.writing import Written
    from pytest_crossdiff.progress import Progress
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


class Observed(NamedTuple):
    """What one model gives to the held-out texts, and what it writes after their first words; None
    where that is not known, or is not asked for.
    """

    reading: Reading
    written: Written | None = None


def read_model(
    model: LoadedModel,
    pieces: Mapping[int, Piece],
    *,
    chat_template: str,
    label: str,
    progress: Progress,
) -> Reading:
    """The reading of a causal `model` on `pieces`, given by their index.

    Raises `UncomparableError` for a model that predicts no next token.
    """
    states = final_states(
        model, pieces, chat_template=chat_template, label=label, progress=progress
    )
    return from_states(states, model.device, label, progress)


def from_states(
    states: FinalStates, device: torch.device, label: str, progress: Progress
) -> Reading:
    """The reading that final states contain."""
    with progress.phase(f"score texts with {label}", len(states.ids_n), "token") as bar:
        logp_n = actual_log_probabilities(states, device, bar)
    return Reading(states.piece_n, states.starts_n, states.ends_n, logp_n)
