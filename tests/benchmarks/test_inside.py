"""Criteria inside the models, on inputs whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.inside import toy
from benchmarks.inside.ablating import MATCHED, shares_above
from benchmarks.inside.covariance import covariance_z
from benchmarks.inside.dictionary import Features
from benchmarks.inside.judging import judged
from benchmarks.inside.lost import scores
from benchmarks.inside.places import of_plant
from benchmarks.inside.readability import Readability, Reader, auc

GROUPS = (np.arange(2_000) // 20).astype(np.int32)
HELD = GROUPS % 10 < 3


def _normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_reader_explains_of_a_feature_what_its_vectors_hold_of_it() -> None:
    x_nd, noise_n = _normal(0, 2_000, 4), _normal(1, 2_000)
    half_n = x_nd[:, 0] + noise_n
    known = 1 - noise_n[HELD].var() / half_n[HELD].var()
    found = Reader(x_nd, GROUPS, HELD).r2(torch.stack([half_n, x_nd[:, 1], noise_n], 1))
    assert found == pytest.approx([float(known), 1.0, 0.0], abs=0.02)


def test_the_gap_shows_what_the_baseline_lacks_and_unread_what_nobody_else_has() -> None:
    # What the baseline alone lacks, what the candidate alone has, and what all have.
    own, baseline = np.array([0.8, 0.8, 0.8]), np.array([0.0, 0.0, 0.8])
    references = np.array([[0.8, 0.0, 0.8], [0.4, 0.0, 0.8], [0.8, 0.0, 0.8]])
    found = Readability(own, baseline, references)
    assert found.gap_p == pytest.approx([-0.8, 0.0, 0.0])
    assert found.unread_p == pytest.approx([0.0, 1.0, 0.0])


def test_the_covariance_measure_is_standard_normal_where_a_feature_adds_nothing() -> None:
    x_nd = _normal(2, 2_000, 3)
    reader = Reader(x_nd, GROUPS, HELD)
    said_n = x_nd[:, 0] + _normal(3, 2_000)
    features = (x_nd @ _normal(4, 3, 200) + _normal(5, 2_000, 200)).relu()
    z_p = covariance_z(reader, features, said_n, GROUPS, HELD)
    assert (abs(z_p.mean()), z_p.std()) == (pytest.approx(0, abs=0.2), pytest.approx(1, abs=0.2))
    # With 30 held-out documents the measure is at most the root of 30.
    adding = said_n[:, None] + _normal(6, 2_000, 1)
    assert covariance_z(reader, adding, said_n, GROUPS, HELD)[0] > 5


def test_in_worlds_known_by_construction_g_does_not_show_what_is_planted() -> None:
    rows = {r.get("kind", r.get("criterion")): r for r in toy.summary([*toy.measured(1, 3_000)])}
    planted, hidden, lost = (rows[k] for k in ("planted", "encoded differently", "lost"))
    assert (planted["concepts"], lost["concepts"]) == (toy.PLANTED, toy.LOST)
    assert planted["gap"] == pytest.approx(0, abs=0.05)
    assert lost["gap"] < -0.7
    assert hidden["gap"] < -0.1
    assert planted["unread"] > 0.9
    assert hidden["unread"] < 0.1
    assert hidden["rejected_exact"] < 0.25 < 0.7 < planted["rejected_exact"]
    assert hidden["rejected_linear"] > 0.7


def test_a_reader_that_lost_a_feature_scores_by_what_the_others_read_of_it() -> None:
    # Three readers, two features; the first reader owns the first feature and is not scored by it.
    found = scores(np.array([[0.9, 0.5], [0.6, 0.8], [0.1, 0.7]]), np.array([0, 1]))
    assert found == pytest.approx(
        np.array([[-np.inf, 0.7 - 0.5], [0.1 - 0.6, -np.inf], [0.6 - 0.1, 0.5 - 0.7]])
    )


def test_an_area_under_the_curve_counts_ties_half() -> None:
    score = np.array([3.0, 1.0, 2.0, 1.0])
    assert auc(score, np.array([True, True, False, False])) == pytest.approx((1 + 1 + 0 + 0.5) / 4)
    assert np.isnan(auc(score, np.zeros(4, dtype=bool)))


def test_a_feature_is_ranked_among_shared_ones_of_its_strength_and_density() -> None:
    def features(strength: list[float]) -> Features:
        of = np.array(strength)
        return Features(torch.zeros(1, len(of)), torch.zeros(len(of), 1), of, 0.1 + 0 * of, of, of)

    # 99 shared features as strong as the first, and 99 as strong as the second.
    shared = features([0.01] * MATCHED + [1.0] * MATCHED)
    effects = np.concatenate([np.linspace(0, 0.098, MATCHED), np.linspace(1, 1.98, MATCHED)])
    found = shares_above(features([0.01, 1.0, 1.0]), np.array([0.5, 0.5, 1.005]), shared, effects)
    assert found == pytest.approx([0.01, 1.0, 0.99])


def test_a_feature_is_the_plants_where_it_fires_mainly_on_the_plants_places() -> None:
    at_n = np.arange(100) < 10
    f_np = torch.zeros(100, 3)
    f_np[:5, 0], f_np[:, 1], f_np[50:60, 2] = 1.0, 1.0, 1.0
    assert of_plant(f_np, at_n).tolist() == [True, False, False]


def test_a_model_is_flagged_when_one_feature_exceeds_those_of_every_reference() -> None:
    def record(model: str, kind: str, r2: dict[str, float], on: list[str]) -> dict[str, object]:
        known = {"a": 0.1, "r": 0.5, "s": 0.5, "b": 0.5, model: 0.9} | r2
        return {
            "baseline": "a", "model": model, "kind": kind, "oracle": False, "on": on,
            "plant": "p" if kind == "swap" else "", "r2": known, "z": 1.0, "rank": None,
        }  # fmt: skip

    records = [
        record("r", "reference", {}, []),
        record("s", "reference", {}, []),
        record("b", "swap", {"r": 0.0, "s": 0.0}, ["p"]),
        record("b", "swap", {}, []),
    ]
    found = {r["criterion"]: r for r in judged(records)}
    assert (found["unread"]["alarm"], found["unread"]["plant"], found["unread"]["rest"]) == (
        True, [1, 1], [0, 1],
    )  # fmt: skip
    assert found["unread"]["auc"] == 1.0
    assert not found["covariance"]["alarm"]
