"""Models that were trained apart: the same concepts in another layout are no difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from benchmarks.toy import pairs_of, toy
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.dictionary.crosscoders import new_models
from pytest_crossdiff.engine.dictionary.innovation import fit_linear, fit_maps
from pytest_crossdiff.engine.verification.model_distance import model_distance, required_exclusivity
from pytest_crossdiff.report.distance import model_distance as told
from pytest_crossdiff.settings import Settings
from support.dictionaries import judged, learnt
from support.results import make_model, make_result

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.engine.activations.pairs import Pairs

WIDTH = 24
DFC, INNOVATION = (
    CrosscoderConfig(kind, WIDTH, WIDTH, 16, 4, 4, 4) for kind in ("dfc", "innovation")
)


def bent(**knobs: float) -> Pairs:
    return toy(width_a=WIDTH, width_b=WIDTH, **knobs).pairs


def test_the_share_that_linear_maps_leave_is_that_of_least_squares() -> None:
    pairs = bent(own=0, bend=1.0, tokens=6_000)
    x_a, x_b = pairs.batch(pairs.training())
    found = fit_linear(pairs)
    share = model_distance(Crosscoder(DFC, 0), pairs, Settings()).unmapped
    for i, (x, y) in enumerate(((x_b, x_a), (x_a, x_b))):
        with_one = torch.cat([x, torch.ones(len(x), 1)], 1)
        error = y - with_one @ torch.linalg.lstsq(with_one, y).solution
        expected = float(error.square().sum() / (y - y.mean(0)).square().sum())
        assert share[i] == pytest.approx(expected, rel=0.02)
        assert found.linear[i] == pytest.approx(float(error.square().mean()), rel=0.02)


def test_where_concepts_lie_in_another_layout_curved_maps_leave_less_of_unseen_text() -> None:
    pairs = bent(own=0, bend=1.0, tokens=8_000)
    linear, made = fit_linear(pairs), fit_maps(pairs, curved=True)
    x_a, x_b = pairs.batch(pairs.heldout())
    for i, (x, y) in enumerate(((x_b, x_a), (x_a, x_b))):
        left, was = (float((y - of[i].map(x)).square().mean()) for of in (made, linear))
        assert left < 0.6 * was
        assert made[i].mean_square == pytest.approx(left, rel=0.1)
    (model,) = new_models({0: INNOVATION}, pairs, curved=True)
    own = model.inputs(x_a, x_b)[2:]
    for residual_td, of, x, y in zip(own, made[:2], (x_b, x_a), (x_a, x_b), strict=True):
        assert residual_td is not None
        assert torch.allclose(residual_td, (y - of.map(x)) / of.mean_square**0.5, atol=1e-3)
    asked = model_distance(model, pairs, Settings(exclusivity=0.6)).exclusivity
    assert asked == pytest.approx((0.92, 0.92)) or min(asked) > 0.92
    shares = [model_distance(of, pairs, Settings()).unmapped for of in (model, Crosscoder(DFC, 0))]
    assert shares[0] == pytest.approx(shares[1], rel=1e-4), "how far apart is told by linear maps"


def test_maps_are_linear_where_a_hidden_layer_tells_nothing_more() -> None:
    assert fit_maps(bent(bend=0.1, own=0, tokens=6_000), curved=True).units == 0
    g = torch.Generator().manual_seed(0)
    x = torch.randn(6_000, WIDTH, generator=g)
    noisy = x + 0.7 * torch.randn(x.shape, generator=g)  # a third of it no map can tell
    made = fit_maps(pairs_of(x, noisy, np.arange(6_000) // 50), curved=True)
    assert made.units == 0


def test_the_further_apart_the_more_exclusive_but_never_out_of_reach() -> None:
    asked = [required_exclusivity(0.5, left) for left in (0.0, 0.2, 0.3, 0.4, 0.5, 0.9)]
    assert asked[:2] == [0.5, 0.5]
    assert asked == sorted(asked)
    assert (
        asked[-2] == asked[-1] < 0.995
    )  # planted concepts come out at 0.996 and more (docs/evidence/toy-world.md)
    assert required_exclusivity(0.9, 0.4) > required_exclusivity(0.5, 0.4)


def test_the_same_concepts_in_another_layout_are_at_most_possible(tmp_path: Path) -> None:
    pairs = bent(shared=120, own=0, bend=float("inf"), seed=1)
    config = CrosscoderConfig("innovation", WIDTH, WIDTH, 48, 16, 16, 4, 0.5)
    found = judged(learnt(pairs, config, tmp_path), pairs)
    assert min(found.distance.unmapped) > 0.5
    assert sum(f.undecided for f in found.features) > 5
    above = [f for f in found.features if f.exclusivity_low > 0.5 and f.r2_own > 0.25]
    assert len(above) > 5, "by the setting alone they would be differences"
    assert not any(f.verified for f in found.features)


def test_between_unrelated_layouts_what_is_planted_is_found_and_nothing_else(
    tmp_path: Path,
) -> None:
    t = toy(width_a=32, width_b=32, bend=float("inf"), seed=1)
    config = CrosscoderConfig("innovation", 32, 32, 48, 12, 12, 4, 0.5)
    (model,) = new_models({0: config}, t.pairs, curved=True)
    assert model.config.map_units
    found = judged(learnt(t.pairs, config, tmp_path, model=model), t.pairs)
    truth_nc = t.activation_nc[torch.from_numpy(t.pairs.heldout())].numpy()
    hit = set()
    for p, f in enumerate(found.features):
        if f.verified:
            likeness = np.corrcoef(found.held.f_np[:, p], truth_nc.T)[0, 1:]
            hit.add(int(likeness.argmax()))
            assert likeness.max() > 0.6
    assert hit <= {*t.only_a, *t.only_b}
    assert len(hit) >= 6


def test_what_it_asks_is_told_with_the_reason() -> None:
    far = make_model(unmapped=0.47, required_exclusivity=0.97)
    text = told(make_result(baseline=far, candidate=make_model()))
    assert "47 %" in text
    assert "only above exclusivity 0.97" in text
    assert told(make_result()) == ""
