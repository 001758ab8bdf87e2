"""Small dictionaries of toy pairs, trained and tested as the product does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pytest_crossdiff.engine.dictionary.crosscoders import new_trainers
from pytest_crossdiff.engine.dictionary.training import Trainer, TrainingConfig, train
from pytest_crossdiff.engine.sparse.firing import SparseActivations
from pytest_crossdiff.engine.verification.verify import verify
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.store.cache import Store

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
    from pytest_crossdiff.engine.verification.verify import Verification

CPU = torch.device("cpu")
BRIEF = TrainingConfig(600, 256, 1e-3)


def learnt(
    pairs: Pairs,
    config: CrosscoderConfig,
    folder: Path,
    training_config: TrainingConfig = BRIEF,
    *,
    model: Crosscoder | None = None,
) -> Crosscoder:
    """A trained one, of new ones or the given one; `folder` takes its checkpoints."""
    trainer = (
        Trainer(model, training_config)
        if model
        else new_trainers({0: config}, training_config, pairs, CPU)[0]
    )
    entry = Store(folder).entry("test", "one")
    with entry.lock():
        train([trainer], pairs, [entry], CPU, SilentProgress())
    return trainer.model


def judged(model: Crosscoder, pairs: Pairs, settings: Settings | None = None) -> Verification:
    """What the held-out documents say of it."""
    with SilentProgress().phase("verify", 1, "token") as bar:
        (found,) = verify([model], [0], pairs, settings or Settings(), CPU, bar)
    return found


def sparse(f_np: NDArray[np.float32], *cuts: int) -> SparseActivations:
    """Dense activations, shape (n, p), as verification keeps them: in blocks that end at `cuts`."""
    made = SparseActivations(f_np.shape[1])
    for block in np.split(f_np, cuts):
        token, feature = np.nonzero(block)
        made.add(len(block), token, feature, block[token, feature])
    return made
