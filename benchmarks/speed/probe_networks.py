"""How well the probes' networks read features, and in what time, by batch size and epochs.

    python -m benchmarks.speed.probe_networks BASELINE CANDIDATE CORPUS

The fits of one comparison (20,000 tokens, last block, controls on), each made again without the
last fifth of its pairs, on which R² is measured: the mean over the features, of two seeds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

import torch
from tabulate import tabulate

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.regression import networks
from pytest_crossdiff.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

    from pytest_crossdiff.engine.regression.ridge import LinearMap

TRIED = ((128, 6), (64, 4), (64, 3), (32, 2), (128, 3))
"""Rows of a batch, epochs; the first is what was before, the second what is now."""
SEEDS, TEST_SHARE = (0, 1), 0.2


class Fit(NamedTuple):
    """What a network learned from, as `networks.fit_mlp` takes it."""

    x_nd: Tensor
    y_np: Tensor
    left_out_n: Tensor
    linear: LinearMap


def fits_of(baseline: str, candidate: str, corpus: str) -> list[Fit]:
    """Those of a whole comparison, in their order."""
    found, fit = [], networks.fit_mlp

    def keep(*given: object, **more: object) -> networks.Mlp:
        found.append(Fit(*given[:4]))
        return fit(*given, **more)

    with tempfile.TemporaryDirectory() as cache, mock.patch.object(networks, "fit_mlp", keep):
        pipeline.run(
            Settings(
                baseline=baseline, candidate=candidate, corpus=corpus, tokens=20_000, layer=-1,
                cache_dir=cache,
            )
        )  # fmt: skip
    return found


def r2(fit: Fit, batch: int, epochs: int, seed: int) -> float:
    """On pairs that the network didn't learn from, the mean over the features that vary there."""
    cut = int(len(fit.x_nd) * (1 - TEST_SHARE))
    with mock.patch.object(networks, "BATCH", batch):
        made = networks.fit_mlp(
            fit.x_nd[:cut], fit.y_np[:cut], fit.left_out_n[:cut], fit.linear, seed, epochs=epochs
        )
    y_np = fit.y_np[cut:]
    error_p = (made(fit.x_nd[cut:]) - y_np).square().sum(0)
    total_p = (y_np - y_np.mean(0)).square().sum(0)
    varies_p = total_p > 1e-9
    return float((1 - error_p[varies_p] / total_p[varies_p]).clamp_min(-1).mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("baseline", "candidate", "corpus"):
        parser.add_argument(name)
    given = parser.parse_args()
    torch.set_num_threads(1)
    fits, rows = fits_of(given.baseline, given.candidate, given.corpus), []
    for batch, epochs in TRIED:
        began = time.process_time()
        means = [sum(r2(fit, batch, epochs, seed) for seed in SEEDS) / len(SEEDS) for fit in fits]
        rows.append((batch, epochs, time.process_time() - began, *means))
    read = [f"R², fit {n}" for n in range(1, len(fits) + 1)]
    header = ["batch", "epochs", "CPU s", *read]
    print(tabulate(rows, header, tablefmt="github", floatfmt=("", "", ".1f", *[".4f"] * len(fits))))


if __name__ == "__main__":
    main()
