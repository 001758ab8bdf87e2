"""Is the loss at equal tokens that of a plain dense trainer?  Speed mustn't be bought with quality.

    python -m benchmarks.speed.quality [--seeds 3] [--out FILE.json]

The same data, batches, steps, sizes, initial weights and schedules: this package's step with its
equations by hand, and the same with the encoder's product of bfloat16 numbers as on a GPU, against
autograd through dense products, `topk` over the whole batch, AuxK, torch's plain Adam and no
guesses.  Squared error on held-out activations of toy models, by the same BatchTopK, at the end.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from unittest import mock

import torch
from tabulate import tabulate

from benchmarks.dictionaries import ARCHITECTURES
from benchmarks.machine import machine
from benchmarks.toy.world import Toy, toy
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig, residuals
from pytest_crossdiff.engine.dictionary.innovation import fit_maps, set_maps
from pytest_crossdiff.engine.dictionary.step import AUX_WEIGHT
from pytest_crossdiff.engine.dictionary.training import (
    DEAD_TOKENS,
    Trainer,
    TrainingConfig,
    _anneal,
    _rate,
    batches,
)
from pytest_crossdiff.engine.sparse import kernels

FILE = Path(__file__).parent / "results" / "quality.json"
STEPS, BATCH, K = 600, 512, 4


def chosen(model: Crosscoder, pre_mt: torch.Tensor, count: int) -> torch.Tensor:
    """Where the `count` largest scores stand, by sorting all of them."""
    score_mt = pre_mt.relu() * model.decoder_norms()[:, None]
    kept_mt = torch.zeros_like(score_mt)
    kept_mt.view(-1)[score_mt.flatten().topk(count).indices] = 1.0
    return kept_mt


def dense(model: Crosscoder, data: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Train by autograd."""
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    idle_m = torch.zeros(model.config.features)
    for step, (a, b) in enumerate(data):
        done, size = step / STEPS, a.numel() + b.numel()
        x = model.inputs(a, b)
        pre_mt = model.pre_activations(x)
        with torch.no_grad():
            kept_mt = chosen(model, pre_mt, int(K * _anneal(done) * len(a)))
        left = model.errors((pre_mt.relu() * kept_mt).T, x)
        loss = left.squared().sum() / size
        dead = (idle_m * len(a) >= DEAD_TOKENS).nonzero().flatten()
        if len(dead):
            k = min(len(dead), max(1, model.config.width_a // 2))
            value, index = pre_mt[dead].T.topk(k, dim=1)
            f_tm = torch.zeros_like(pre_mt.T).scatter(1, dead[index], value)
            rest = residuals(
                type(left)(*(e if e is None else e.detach() for e in left)),
                model.reconstruct(f_tm, bias=False),
            )
            loss = loss + AUX_WEIGHT * rest.squared().sum() / size
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in adam.param_groups:
            group["lr"] = 1e-3 * _rate(done)
        adam.step()
        idle_m += 1
        idle_m[kept_mt.any(1)] = 0


@torch.no_grad()
def heldout(model: Crosscoder, a: torch.Tensor, b: torch.Tensor) -> float:
    """Squared error a number, with BatchTopK at k."""
    x = model.inputs(a, b)
    pre_mt = model.pre_activations(x)
    f_mt = pre_mt.relu() * chosen(model, pre_mt, K * len(a))
    return float(model.errors(f_mt.T, x).squared().sum()) / (a.numel() + b.numel())


def by_hand(
    sizes: CrosscoderConfig, seed: int, made: Toy, data: list[tuple[torch.Tensor, torch.Tensor]]
) -> Crosscoder:
    """Train as the package does."""
    trainer = Trainer(new(sizes, seed, made), TrainingConfig(STEPS, BATCH, 1e-3))
    for a, b in data:
        trainer.train_step(a, b)
    return trainer.model


def new(sizes: CrosscoderConfig, seed: int, made: Toy) -> Crosscoder:
    model = Crosscoder(sizes, seed)
    if sizes.architecture == "innovation":
        set_maps(model, fit_maps(made.pairs))
    return model


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    torch.set_num_threads(1)
    config, rows = TrainingConfig(STEPS, BATCH, 1e-3), []
    for architecture, seed in itertools.product(ARCHITECTURES, range(args.seeds)):
        own = 0 if architecture == "standard" else 8
        made = toy(own=4, seed=seed)
        widths = made.pairs.a.harvest.width, made.pairs.b.harvest.width
        sizes = CrosscoderConfig(architecture, *widths, 192 - 2 * own, own, own, K)
        data = [made.pairs.batch(rows_) for rows_ in batches(made.pairs.training(), config, 0)]
        test = made.pairs.batch(made.pairs.heldout())
        ours = heldout(by_hand(sizes, seed, made, data), *test)
        with mock.patch.object(kernels, "_has_bfloat16", return_value=True):
            halves = heldout(by_hand(sizes, seed, made, data), *test)
        reference = new(sizes, seed, made)
        dense(reference, data)
        theirs = heldout(reference, *test)
        rows.append(
            [architecture, seed, theirs, ours, ours / theirs - 1, halves, halves / theirs - 1]
        )
    head = ["architecture", "seed", "autograd, dense", "by hand", "more", "bfloat16", "more by it"]
    print(tabulate(rows, head, "github", floatfmt=("", "", ".5f", ".5f", "+.2%", ".5f", "+.2%")))
    found = {"machine": machine(), "rows": [dict(zip(head, row, strict=True)) for row in rows]}
    args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
