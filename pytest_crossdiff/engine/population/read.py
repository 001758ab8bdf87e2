"""From a model, or from its final states in the cache, to its reading of the held-out texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.engine.metrics.divergence import actual_log_probabilities
from pytest_crossdiff.engine.metrics.final_states import final_states
from pytest_crossdiff.engine.population.readings import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.engine.metrics.final_states import FinalStates
    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.progress import Progress


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
