"""Models that were trained apart: the same concepts in another layout are no difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.toy import toy
from dictionaries import judged, learnt
from pytest_crossdiff.engine.apart import apart, least_exclusivity
from pytest_crossdiff.engine.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.options import Settings
from pytest_crossdiff.report.message import apart as told
from results import make_model, make_result

if TYPE_CHECKING:
    from pathlib import Path

WIDTH = 24


def test_the_share_that_a_map_leaves_is_that_of_least_squares() -> None:
    pairs = toy(own=0, bend=1.0, width_a=WIDTH, width_b=WIDTH, tokens=6_000).pairs
    model = Crosscoder(CrosscoderConfig("dfc", WIDTH, WIDTH, 16, 4, 4, 4), 0)
    x_a, x_b = pairs.batch(pairs.training())
    found = apart(model, pairs, Settings()).unmapped
    for (x, y), left in zip(((x_b, x_a), (x_a, x_b)), found, strict=True):
        with_one = torch.cat([x, torch.ones(len(x), 1)], 1)
        error = y - with_one @ torch.linalg.lstsq(with_one, y).solution
        expected = float(error.square().sum() / (y - y.mean(0)).square().sum())
        assert left == pytest.approx(expected, rel=0.02)


def test_the_further_apart_the_more_exclusive_but_never_out_of_reach() -> None:
    asked = [least_exclusivity(0.5, left) for left in (0.0, 0.2, 0.3, 0.4, 0.5, 0.9)]
    assert asked[:2] == [0.5, 0.5]
    assert asked == sorted(asked)
    assert (
        asked[-2] == asked[-1] < 0.995
    )  # planted concepts come out at 0.996 and more (docs/evidence.md)
    assert least_exclusivity(0.9, 0.4) > least_exclusivity(0.5, 0.4)


def test_the_same_concepts_in_another_layout_are_at_most_possible(tmp_path: Path) -> None:
    t = toy(shared=120, own=0, width_a=WIDTH, width_b=WIDTH, bend=float("inf"), seed=1)
    config = CrosscoderConfig("innovation", WIDTH, WIDTH, 48, 16, 16, 4, 0.5)
    found = judged(learnt(t.pairs, config, tmp_path), t.pairs)
    assert min(found.apart.unmapped) > 0.5
    assert sum(f.undecided for f in found.features) > 5
    above = [f for f in found.features if f.exclusivity_low > 0.5 and f.r2_own > 0.25]
    assert len(above) > 5, "by the setting alone they would be differences"
    assert not any(f.verified for f in found.features)


def test_what_it_asks_is_told_with_the_reason() -> None:
    far = make_model(unmapped=0.47, least_exclusivity=0.97)
    text = told(make_result(baseline=far, candidate=make_model()))
    assert "47 %" in text
    assert "0.97 and 0.50 exclusive" in text
    assert told(make_result()) == ""
