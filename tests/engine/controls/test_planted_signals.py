"""Planted signals: what is planted is what was asked for, and it is told from the rest."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.toy import toy
from pytest_crossdiff.engine.controls.null import null_pairs
from pytest_crossdiff.engine.controls.planted_signals import (
    SIGNAL_LEVELS,
    match_signals,
    plant_signals,
)
from pytest_crossdiff.engine.regression.ridge import Moments, fit
from pytest_crossdiff.sides import SIDES


def test_each_signal_has_the_strength_and_the_density_of_its_rung() -> None:
    plain = toy(tokens=60_000, documents=300).pairs
    spiked = plant_signals(plain)
    assert spiked.planted_signals is not None
    rows = np.arange(len(plain.group_n))
    for side, x, directions in zip(
        SIDES, plain.batch(rows), spiked.planted_signals[:2], strict=True
    ):
        variance = (x - x.mean(0)).square().sum(1).mean()
        activation = spiked.planted_signals.activations(side, rows)
        for s, level in enumerate(SIGNAL_LEVELS):
            fires = activation[:, s] > 0
            assert float(fires.float().mean()) == pytest.approx(level.density, rel=0.15)
            power = (activation[:, s].square().mean() * directions[s].square().sum()) / variance
            assert float(power) == pytest.approx(level.strength, rel=0.25)


def test_what_is_added_is_the_signals_and_always_the_same() -> None:
    plain = toy(tokens=2_000).pairs
    spiked = plant_signals(plain)
    assert spiked.planted_signals is not None
    rows = np.array([3, 17, 1_999])
    for side, x, y, again, directions in zip(
        SIDES, plain.batch(rows), spiked.batch(rows), plant_signals(plain).batch(rows),
        spiked.planted_signals[:2], strict=True,
    ):  # fmt: skip
        added = spiked.planted_signals.activations(side, rows) @ directions
        assert torch.allclose(y - x, added, atol=1e-5)
        assert torch.equal(y, again)
    one_by_one = [spiked.planted_signals.activations("candidate", rows[[i]]) for i in range(3)]
    assert torch.equal(torch.cat(one_by_one), spiked.planted_signals.activations("candidate", rows))


def test_neither_model_tells_where_the_signals_of_the_other_stand() -> None:
    pairs = plant_signals(toy(tokens=20_000).pairs)
    assert pairs.planted_signals is not None
    rows = np.arange(20_000)
    from_a, _ = pairs.batch(rows)
    signals = pairs.planted_signals.activations("candidate", rows)
    folds = [Moments(32, len(SIGNAL_LEVELS)) for _ in range(2)]
    for half, moments in zip((rows < 10_000, rows >= 10_000), folds, strict=True):
        moments.add(from_a[half], signals[half])
    assert float(fit(folds).r2_p.max()) < 0.01


def test_a_feature_stands_for_the_signal_that_it_follows_and_else_for_none() -> None:
    random = np.random.default_rng(0)
    planted = (random.random((5_000, 3)) < 0.01) * random.uniform(0.5, 1.5, (5_000, 3))
    other = (random.random(5_000) < 0.02) * 1.0
    half = planted[:, 1] * (random.random(5_000) < 0.3)
    features = np.stack([planted[:, 2] + 0.1 * other, other, half], axis=1).astype(np.float32)
    assert match_signals(planted.astype(np.float32), features).tolist() == [2, -1, 1]
    assert match_signals(planted.astype(np.float32), features[:, :0]).tolist() == []


def test_the_null_pair_is_the_baseline_seen_through_a_map() -> None:
    pairs = toy(tokens=5_000).pairs
    same = null_pairs(pairs)
    rows = np.arange(5_000)
    x_a, x_b = same.batch(rows)
    assert torch.equal(x_a, pairs.batch(rows)[0])
    assert not torch.allclose(x_a.square().sum(1), x_b.square().sum(1), rtol=0.05)
    back = torch.linalg.lstsq(x_b, x_a).solution
    error = (x_b @ back - x_a).square().sum() / x_a.square().sum()
    assert 0 < float(error) < 1e-4  # rounding, and nothing else
