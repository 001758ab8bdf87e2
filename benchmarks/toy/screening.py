"""Which features should be tested: the dictionary's exclusive partition, or every feature?

    python -m benchmarks.toy.screening [seeds]

Prints, for toy models with 12 planted exclusive concepts and with none, how many of the planted
ones are found and how many features are reported that follow no planted concept (mean over seeds).
"""

from __future__ import annotations

import itertools
import sys
from typing import NamedTuple

import numpy as np
import torch
from tabulate import tabulate

from benchmarks.toy.methods import CPU, Method, followed_concept, trained
from benchmarks.toy.world import Toy, toy
from pytest_crossdiff.engine.verification.exclusivity import screen
from pytest_crossdiff.engine.verification.heldout import measure_heldout
from pytest_crossdiff.engine.verification.model_distance import model_distance
from pytest_crossdiff.engine.verification.verify import classify_features
from pytest_crossdiff.settings import Settings


class Score(NamedTuple):
    """Planted concepts found and false positives, by either way of screening."""

    partition_recall: int
    partition_false: int
    every_recall: int
    every_false: int


def score(t: Toy, architecture: str, features: int, seed: int) -> Score:
    """Train one dictionary on `t` and count."""
    method = Method(architecture, "ridge", features=features, k=4, k_own=0.5, steps=500)
    model = trained(t.pairs, method, seed, batch=512, rate=2e-3)
    with torch.no_grad():
        settings = Settings(probe="ridge")
        distance = model_distance(model, t.pairs, settings)
        (held,) = measure_heldout(
            [model], t.pairs, [screen(t.pairs, model, CPU)], distance, settings, CPU
        )
    truth_nc = t.activation_nc[torch.from_numpy(t.pairs.heldout())].numpy()
    shared = model.config.shared_slice
    partition, every = set[int](), set[int]()
    false_positives = [0, 0]
    for p, feature in enumerate(classify_features(held, distance, seed, Settings())):
        if not feature.verified:
            continue
        exclusive = not shared.start <= feature.index < shared.stop
        found = followed_concept(held.f_np[:, p], truth_nc)
        planted = found in (t.only_b if feature.side == "candidate" else t.only_a)
        if planted:
            every.add(found)
            partition |= {found} if exclusive else set()
        false_positives[0] += exclusive and not planted
        false_positives[1] += not planted
    return Score(len(partition), false_positives[0], len(every), false_positives[1])


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
