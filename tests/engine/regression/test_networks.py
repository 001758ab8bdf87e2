"""Small-network probes on targets whose readability is known in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.toy import pairs_of
from pytest_crossdiff.engine.regression.networks import Probe, mse_gradients, with_networks
from pytest_crossdiff.engine.regression.ridge import Folds, LinearMap, fit, fold_masks

if TYPE_CHECKING:
    from pytest_crossdiff.engine.activations.pairs import Pairs

TOKENS = 10_000
KINDS = ("linear", "absolute value", "superposed", "not there")


def planted() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A baseline of width 28 that holds three targets, a candidate of width 8 that holds none,
    and the targets: a projection; the absolute value of one of 4 symmetric coordinates, with which
    every linear reading is uncorrelated; one of 48 sparse concepts in 24 dimensions; noise.
    """
    g = torch.Generator().manual_seed(0)
    concepts = (torch.rand(TOKENS, 48, generator=g) < 0.05) * torch.rand(TOKENS, 48, generator=g)
    symmetric = torch.randn(TOKENS, 4, generator=g)
    x_a = torch.cat((concepts @ torch.randn(48, 24, generator=g), symmetric), dim=1)
    weights = torch.randn(28, generator=g)
    noise = torch.randn(TOKENS, generator=g)
    y = torch.stack((x_a @ weights, symmetric[:, 0].abs(), concepts[:, 0], noise), dim=1)
    return x_a, torch.randn(TOKENS, 8, generator=g), y


def r2(read: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return 1 - (read - y).square().sum(0) / (y - y.mean(0)).square().sum(0)


def fitted(
    pairs: Pairs, y: torch.Tensor, linear: tuple[LinearMap, ...], seed: int = 0
) -> list[Probe]:
    rows, every = pairs.training(), torch.arange(y.shape[1])
    judge = fold_masks(y[rows], pairs.group_n[rows])[0]
    inputs = zip(linear, pairs.batch(rows), strict=True)
    return [with_networks(of, every, x, y[rows], judge, seed) for of, x in inputs]


def test_a_network_reads_what_no_linear_probe_does_and_invents_nothing() -> None:
    x_a, x_b, y = planted()
    group = (np.arange(TOKENS) // 50).astype(np.int32)
    pairs = pairs_of(x_a, x_b, group)
    linear = []
    for width, side in ((28, 0), (8, 1)):
        folds = Folds(width, len(KINDS))
        for block, *x in pairs.blocks(pairs.training()):
            folds.add(x[side], y[block], group[block])
        linear.append(fit(folds.moments).map)
    probes = fitted(pairs, y, (linear[0], linear[1]))
    held = pairs.heldout()
    for probe, ridge, x in zip(probes, linear, pairs.batch(held), strict=True):
        found, before = r2(probe(x), y[held]), r2(ridge(x), y[held])
        assert bool((found > before - 0.01).all()), (found, before)
    in_a = dict(zip(KINDS, r2(probes[0](pairs.batch(held)[0]), y[held]).tolist(), strict=True))
    in_b = r2(probes[1](pairs.batch(held)[1]), y[held])
    ridge_a = dict(zip(KINDS, r2(linear[0](pairs.batch(held)[0]), y[held]).tolist(), strict=True))
    assert in_a["linear"] > 0.99
    assert ridge_a["absolute value"] < 0.01
    assert in_a["absolute value"] > 0.9
    assert ridge_a["superposed"] < 0.6
    assert in_a["superposed"] > 0.8
    assert abs(in_a["not there"]) < 0.01
    assert float(in_b.abs().max()) < 0.01


def test_the_same_seed_gives_the_same_probe_and_no_features_give_none() -> None:
    x_a, x_b, _ = planted()
    pairs = pairs_of(x_a[:600], x_b[:600], (np.arange(600) // 20).astype(np.int32))
    zero = (
        LinearMap(torch.zeros(28, 1), torch.zeros(1)),
        LinearMap(torch.zeros(8, 1), torch.zeros(1)),
    )
    made = [fitted(pairs, x_a[:, :1], zero, 3)[0] for _ in range(2)]
    assert torch.equal(made[0].networks[0][1].out_hp, made[1].networks[0][1].out_hp)
    none = (
        LinearMap(torch.zeros(28, 0), torch.zeros(0)),
        LinearMap(torch.zeros(8, 0), torch.zeros(0)),
    )
    empty, _ = fitted(pairs, x_a[:, :0], none)
    assert empty(torch.zeros(5, 28)).shape == (5, 0)


def test_slopes_are_those_of_autograd() -> None:
    g = torch.Generator().manual_seed(0)
    weights = [torch.randn(*size, generator=g) for size in ((5, 7), (7,), (7, 3), (3,))]
    x, y = torch.randn(11, 5, generator=g), torch.randn(11, 3, generator=g)
    learnt = [w.clone().requires_grad_() for w in weights]
    hidden, bias, out, bias_out = learnt
    ((x @ hidden + bias).relu() @ out + bias_out - y).square().mean().backward()
    for made, weight in zip(mse_gradients(weights, x, y), learnt, strict=True):
        torch.testing.assert_close(made, weight.grad)
