"""Which features should be tested: the dictionary's exclusive partition, or every feature?

    python -m benchmarks.screening [seeds]

Prints, for toy models with 12 planted exclusive concepts and with none, how many of the planted
ones are found and how many features are reported that follow no planted concept (mean over seeds).
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from tabulate import tabulate

from benchmarks.toy import Toy, toy
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.dictionary.innovation import fit_maps, set_maps
from pytest_crossdiff.engine.dictionary.training import Trainer, TrainingConfig, train
from pytest_crossdiff.engine.verification.exclusivity import screen
from pytest_crossdiff.engine.verification.heldout import Heldout, measure_heldout
from pytest_crossdiff.engine.verification.model_distance import model_distance
from pytest_crossdiff.engine.verification.verify import classify_features
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.store.cache import Store

CPU = torch.device("cpu")
FOLLOWS = 0.6
"""A feature follows a concept when their held-out activations correlate above this."""


class Score(NamedTuple):
    """Planted concepts found and features reported in vain, by either way of screening."""

    partition_recall: int
    partition_false: int
    every_recall: int
    every_false: int


def score(t: Toy, architecture: str, features: int, seed: int) -> Score:
    """Train one dictionary on `t` and count."""
    own = 0 if architecture == "standard" else max(1, round(features * 0.05))
    a, b = t.pairs.a.harvest.width, t.pairs.b.harvest.width
    model = Crosscoder(CrosscoderConfig(architecture, a, b, features - 2 * own, own, own, 4), seed)
    if architecture == "innovation":
        set_maps(model, fit_maps(t.pairs))
    trainer = Trainer(model, TrainingConfig(500, 512, 2e-3))
    with tempfile.TemporaryDirectory() as folder:
        entry = Store(Path(folder)).entry("toy", "toy")
        with entry.lock():
            train([trainer], t.pairs, [entry], CPU, SilentProgress())
    with torch.no_grad():
        settings = Settings(probe="ridge")
        distance = model_distance(model, t.pairs, settings)
        (held,) = measure_heldout(
            [model], t.pairs, [screen(t.pairs, model, CPU)], distance, settings, CPU
        )
    shared = model.config.shared_slice
    partition, every = set[int](), set[int]()
    false_positives = [0, 0]
    for p, feature in enumerate(classify_features(held, distance, seed, Settings())):
        if not feature.verified:
            continue
        exclusive = not shared.start <= feature.index < shared.stop
        found = _concept(t, held, p)
        planted = found in (t.only_b if feature.side == "candidate" else t.only_a)
        if planted:
            every.add(found)
            partition |= {found} if exclusive else set()
        false_positives[0] += exclusive and not planted
        false_positives[1] += not planted
    return Score(len(partition), false_positives[0], len(every), false_positives[1])


def _concept(t: Toy, held: Heldout, p: int) -> int:
    truth = t.activation_nc[torch.from_numpy(t.pairs.heldout())].numpy()
    both = np.concatenate([held.f_np[:, [p]], truth], axis=1)
    with np.errstate(invalid="ignore"):  # a concept that never fires has no correlation
        correlation = np.nan_to_num(np.corrcoef(both.T)[0, 1:])
    return int(correlation.argmax()) if correlation.max() > FOLLOWS else -1


def main(seeds: int = 3) -> None:
    """Print the table."""
    rows = []
    grid = itertools.product(("dfc", "standard", "innovation"), (48, 96, 160), (6, 0))
    for architecture, features, own in grid:
        found = [
            score(toy(own=own, seed=s, width_a=64, width_b=64), architecture, features, s)
            for s in range(seeds)
        ]
        rows.append([architecture, features, 2 * own, *np.mean(found, axis=0).round(1)])
    head = ["architecture", "features", "planted"]
    head += [f"{what} {n}" for what in ("partition:", "every:") for n in ("found", "false")]
    print(f"60 shared concepts, width 64, {seeds} seeds; torch {torch.__version__}")
    print(tabulate(rows, head, tablefmt="github"))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
