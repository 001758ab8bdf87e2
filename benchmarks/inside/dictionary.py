"""The product's dictionary of a pair, and its features that only the candidate may have.

Axes: n places, p features, d candidate width.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytest_crossdiff.engine.dictionary.crosscoders import new_models
from pytest_crossdiff.engine.dictionary.sizing import (
    choose_crosscoder_config,
    choose_training_config,
)
from pytest_crossdiff.engine.dictionary.step import reconstruction_errors
from pytest_crossdiff.engine.dictionary.training import Trainer, train
from pytest_crossdiff.engine.verification.ablation import Ablation
from pytest_crossdiff.engine.verification.exclusivity import MIN_DOCUMENTS, probe_inputs, screen
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.store.cache import Store

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder
    from pytest_crossdiff.engine.verification.exclusivity import ProbeInputs

CPU = torch.device("cpu")
SETTINGS = Settings()
"""Sizes and thresholds are the product's own."""
SEEDS = 3
LEAST_R2 = 0.05
"""On training text; a ridge probe reads rare features of small models with little more."""


class Features(NamedTuple):
    """Features of a pair's candidate: activations at every place, directions in its raw residual
    stream, strength and density on held-out documents (METHOD 4), and R² from itself and from the
    baseline by cross-validation on training documents.
    """

    f_np: Tensor
    directions_pd: Tensor
    strength_p: NDArray[np.float64]
    density_p: NDArray[np.float64]
    own_p: NDArray[np.float64]
    other_p: NDArray[np.float64]

    def of(self, chosen: NDArray[np.int64]) -> Features:
        """Some of them."""
        return Features(
            self.f_np[:, chosen],
            self.directions_pd[chosen],
            *(values[chosen] for values in self[2:]),
        )


class Found(NamedTuple):
    """The exclusive candidates of a pair's candidate, and its shared features."""

    exclusive: Features
    shared: Features


def trained(pairs: Pairs) -> list[Crosscoder]:
    """The dictionaries of the pair with the product's default sizes: as there, the first has the
    shared features.
    """
    count, a, b = len(pairs.training()), pairs.a.harvest.width, pairs.b.harvest.width
    config = choose_crosscoder_config(SETTINGS, count, a, b)
    configs = {seed: config if seed == 0 else config.exclusive_only() for seed in range(SEEDS)}
    models = new_models(configs, pairs)
    trainers = [Trainer(model, choose_training_config(SETTINGS, count)) for model in models]
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        entries = [store.entry("inside", f"inside-{seed}") for seed in range(SEEDS)]
        with contextlib.ExitStack() as locks:
            for entry in entries:
                locks.enter_context(entry.lock())
            train(trainers, pairs, entries, CPU, SilentProgress())
    return models


@torch.no_grad()
def found(pairs: Pairs) -> Found:
    """Features of the candidate that fire in enough held-out documents: those whose exclusivity on
    training text is above the product's threshold, and of the shared part those below it.
    """
    models, inputs = trained(pairs), probe_inputs(pairs, CPU)
    parts = [_of_dictionary(model, pairs, inputs) for model in models]
    exclusive = [part.exclusive for part in parts]
    return Found(
        Features(
            torch.cat([f.f_np for f in exclusive], 1),
            torch.cat([f.directions_pd for f in exclusive]),
            *(np.concatenate(column) for column in zip(*(f[2:] for f in exclusive), strict=True)),
        ),
        parts[0].shared,
    )


def _of_dictionary(
    model: Crosscoder, pairs: Pairs, inputs: tuple[ProbeInputs, ProbeInputs]
) -> Found:
    screened = screen(pairs, model, CPU, inputs)
    own_is_b_m, shared = model.owner_is_candidate().cpu().numpy(), model.config.shared_slice
    ours = np.arange(shared.start, model.config.features)
    chosen = torch.from_numpy(ours)
    ablation = Ablation(model, chosen, torch.ones(len(ours), dtype=torch.bool))
    columns = []
    for block, x_a, x_b in pairs.blocks(np.arange(len(pairs.group_n))):
        x = model.inputs(x_a, x_b)
        active = model.active(x)
        columns.append(active.columns(chosen))
        held = torch.from_numpy(pairs.heldout_n[block])
        if held.any():
            x = model.inputs(x_a[held], x_b[held])
            active = model.active(x)
            errors = reconstruction_errors(model, x, active)
            ablation.add(active.select_features(chosen), x, errors)
    f_np = torch.cat(columns)
    fires_np = (f_np[torch.from_numpy(pairs.heldout_n)] > 0).numpy()
    group_n = pairs.group_n[pairs.heldout_n]
    documents_p = np.array([len(np.unique(group_n[fires])) for fires in fires_np.T])
    features = Features(
        f_np,
        ablation.directions([*range(len(ours))]) / pairs.b.scale.factor,
        ablation.strengths(np.ones(len(ours), dtype=bool)),
        fires_np.mean(0),
        screened.r2_b_m[ours],
        screened.r2_a_m[ours],
    )
    usable_p = (documents_p >= MIN_DOCUMENTS) & (features.strength_p > 0)
    exclusive_p = screened.exclusivity(own_is_b_m)[ours] > SETTINGS.exclusivity
    readable_p = features.own_p >= LEAST_R2
    return Found(
        features.of(np.flatnonzero(usable_p & readable_p & own_is_b_m[ours] & exclusive_p)),
        features.of(np.flatnonzero(usable_p & (ours < shared.stop) & ~exclusive_p)),
    )
