"""The exclusivity test and the strength against direct computation on the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from benchmarks.toy import toy
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig, Inputs
from pytest_crossdiff.engine.regression.ridge import fold
from pytest_crossdiff.engine.verification import clusters
from pytest_crossdiff.engine.verification.ablation import Ablation
from pytest_crossdiff.engine.verification.exclusivity import (
    MIN_DOCUMENTS,
    Sums,
    SumsBuilder,
    benjamini_hochberg,
    exclusivity,
    ratio,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


def build_sums(
    f: torch.Tensor, from_a: torch.Tensor, from_b: torch.Tensor, group: NDArray[Any]
) -> SumsBuilder:
    made = SumsBuilder(int(group.max()) + 1, f.shape[1])
    for rows in torch.arange(len(f)).split(100):
        made.add(torch.from_numpy(group)[rows], f[rows], from_a[rows], from_b[rows])
    return made


def readings(n: int = 1_000, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Two features: A reads the first badly and the second well, B reads both well."""
    g = torch.Generator().manual_seed(seed)
    f = torch.rand(n, 2, generator=g) * (torch.rand(n, 2, generator=g) < 0.2)
    noise = torch.randn(n, 2, generator=g) * 0.05
    from_a = torch.stack((f.mean(0)[0].expand(n), f[:, 1]), dim=1) + noise
    return f, from_a, f + noise.flip(0)


def test_r2_is_that_of_the_tokens_themselves() -> None:
    f, from_a, from_b = readings()
    group = np.arange(1_000) // 25
    sums = build_sums(f, from_a, from_b, group).sums()
    r2_a, r2_b = sums.r2(np.ones((1, 40)))
    spread = (f - f.mean(0)).square().sum(0)
    assert r2_a[0] == pytest.approx((1 - (from_a - f).square().sum(0) / spread).numpy(), abs=1e-5)
    assert r2_b[0] == pytest.approx((1 - (from_b - f).square().sum(0) / spread).numpy(), abs=1e-5)


def test_a_bootstrap_draw_is_the_data_with_documents_repeated() -> None:
    f, from_a, from_b = readings(100)
    group = np.arange(100) // 25
    sums = build_sums(f, from_a, from_b, group).sums()
    r2_a, _ = sums.r2(np.array([[2.0, 0.0, 1.0, 1.0]]))
    rows = np.concatenate([np.flatnonzero(group == g) for g in (0, 0, 2, 3)])
    spread = (f[rows] - f[rows].mean(0)).square().sum(0)
    expected = 1 - (from_a - f)[rows].square().sum(0) / spread
    assert r2_a[0] == pytest.approx(expected.numpy(), abs=1e-5)


def test_a_feature_the_other_model_cannot_read_is_exclusive_and_one_it_reads_is_not() -> None:
    f, from_a, from_b = readings()
    sums = build_sums(f, from_a, from_b, np.arange(1_000) // 25).sums()
    found = exclusivity(sums, np.array([True, True]), threshold=0.5, draws=500)
    assert found.estimate[0] > 0.9
    assert found.low[0] > 0.5
    assert found.p_value[0] < 0.01
    assert found.estimate[1] < 0.1
    assert found.p_value[1] > 0.9
    assert found.low[0] <= found.estimate[0] <= found.high[0]


@pytest.mark.parametrize(("documents", "fires_in"), [(80, 80), (100, 24), (100, 10)])
def test_intervals_cover_the_true_value_as_often_as_they_say(documents: int, fires_in: int) -> None:
    # 2,000 data sets, each a feature of its own that fires in some documents.  In the mean the
    # other model leaves 0.7 of its squares and its own model 0.2, so e = 1 - 0.3 / 0.8.
    random = np.random.default_rng(0)
    size = (documents, 2_000)
    fires = (random.random(size) < fires_in / documents).astype(np.float64)
    yy = fires * random.gamma(4.0, 1.0, size) + 1e-4
    other = 0.7 * yy * random.gamma(4.0, 1 / 4, size)
    own = 0.2 * yy * random.gamma(4.0, 1 / 4, size)
    sums = Sums(other, own, np.zeros(size), yy, np.full(documents, 100.0), fires)
    found = exclusivity(sums, np.ones(2_000, bool), threshold=0.625, draws=1_000)
    usable = found.documents >= MIN_DOCUMENTS
    assert 0.93 < ((found.low <= 0.625) & (found.high >= 0.625))[usable].mean() < 0.97
    assert (found.low > 0.625)[usable].mean() < 0.03
    # The p-value is no more often small than it says, and not much less often where the feature
    # fires in many documents, down to values that a share of 1,000 draws can't have.
    for level in (0.05, 0.01, 0.001):  # of 2,000, give or take three deviations
        most = level + 3 * (level * (1 - level) / 2_000) ** 0.5
        assert (found.p_value <= level)[usable].mean() <= most
    assert documents > fires_in or (found.p_value <= 0.01)[usable].mean() > 0.006


def test_what_is_far_above_the_threshold_survives_a_correction_for_many_tests() -> None:
    # It fires in 20 documents and the other model reads next to nothing of it.
    random = np.random.default_rng(1)
    fires = np.zeros((100, 1))
    fires[:20] = 1
    yy = fires * random.gamma(4.0, 1.0, fires.shape) + 1e-4
    sums = Sums(0.95 * yy, 0.2 * yy, np.zeros_like(yy), yy, np.full(100, 100.0), fires)
    found = exclusivity(sums, np.ones(1, bool), threshold=0.5, draws=1_000)
    assert found.p_value[0] < 1e-4


def test_each_feature_can_have_a_threshold_of_its_own() -> None:
    f, from_a, from_b = readings()
    sums = build_sums(f, from_a, from_b, np.arange(1_000) // 25).sums()
    sums = Sums(*(np.repeat(t, 2, axis=1)[:, [0, 1]] if t.ndim > 1 else t for t in sums))
    one = [exclusivity(sums, np.ones(2, bool), threshold=at, draws=50) for at in (0.5, 0.9)]
    both = exclusivity(sums, np.ones(2, bool), threshold=np.array([0.5, 0.9]), draws=50)
    assert both.p_value.tolist() == [one[0].p_value[0], one[1].p_value[1]]
    assert both.p_value[0] < both.p_value[1]


def test_a_feature_that_its_own_model_cannot_read_is_no_evidence() -> None:
    assert ratio(np.array([-0.2, 0.0]), np.array([-0.5, 0.0])).tolist() == [0.0, 0.0]


def test_benjamini_hochberg_on_the_example_of_the_paper() -> None:
    # Benjamini & Hochberg 1995, section 3.2: 15 p-values, at q = 0.05 the first four are rejected.
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262]
    p += [0.5719, 0.6528, 0.7590, 1.0000]
    mixed = np.random.default_rng(0).permutation(15)
    rejected = benjamini_hochberg(np.array(p)[mixed], 0.05)
    assert sorted(np.array(p)[mixed][rejected]) == p[:4]
    assert not benjamini_hochberg(np.array([]), 0.05).any()


def test_folds_keep_documents_whole_and_are_about_even() -> None:
    group = np.repeat(np.arange(400, dtype=np.int32), 3)
    found = fold(group)
    assert (found.reshape(400, 3) == found.reshape(400, 3)[:, :1]).all()
    assert np.bincount(found[::3], minlength=4).min() > 80


@pytest.mark.parametrize("architecture", ["dfc", "standard", "innovation"])
def test_strength_is_the_variance_lost_by_removing_the_features(architecture: str) -> None:
    own = 0 if architecture == "standard" else 6
    model = Crosscoder(CrosscoderConfig(architecture, 32, 48, 40, own, own, 6, 2))
    if architecture == "innovation":
        model.innovation_scale.copy_(torch.tensor([0.5, 0.25]))
    x_a, x_b = toy(tokens=500).pairs.batch(np.arange(500))
    tested = torch.tensor([3, 7, 39]) if own == 0 else torch.tensor([3, 5, 46, 47, 50])
    is_b = (
        torch.tensor([True, True, False])
        if own == 0
        else torch.tensor([False, False, True, True, True])
    )
    with torch.no_grad():
        f = model.encode(x_a, x_b)
        x = model.inputs(x_a, x_b)
        ablation = Ablation(model, tested, is_b)
        for rows in torch.arange(500).split(120):
            part = Inputs(*(None if v is None else v[rows] for v in x))
            active = model.active(part).select_features(tested)
            ablation.add(active, part, model.errors(f[rows], part))
        members = [0, 1] if own == 0 else [2, 3, 4]
        without = f.clone()
        without[:, tested[members]] = 0
        before, after = model.errors(f, x), model.errors(without, x)
    target, scale = (1, 1.0) if architecture != "innovation" else (3, 0.25)
    now, then = after[target], before[target]
    assert now is not None
    assert then is not None
    lost = (now.square().sum() - then.square().sum()) * scale**2
    expected = float(lost / (x_b - x_b.mean(0)).square().sum())
    assert ablation.strength(members, "candidate") == pytest.approx(expected, rel=1e-3)
    assert ablation.strength([], "candidate") == 0.0


@torch.no_grad()
def test_copies_are_as_strong_together_as_what_they_are_copies_of() -> None:
    """Alone each of four looks a sixteenth as strong; and what fires elsewhere isn't counted in."""
    x_a, x_b = (torch.randn(4_000, 6, generator=torch.Generator().manual_seed(i)) for i in (1, 2))

    def measured(copies: int) -> Ablation:
        model = Crosscoder(CrosscoderConfig("dfc", 6, 6, 2, 1, 1 + copies, 1))
        model.enc_b_pb[2], model.dec_b_pb[2] = torch.eye(6)[:2]  # one that fires elsewhere
        model.enc_b_pb[3:], model.dec_b_pb[3:] = torch.eye(6)[2], torch.eye(6)[3] / copies
        model.enc_bias_m[-1 - copies :] = -1.0
        x, tested = model.inputs(x_a, x_b), torch.arange(3, 4 + copies)
        # The target is what the copies write and noise; the rest of the dictionary is left out.
        x = x._replace(b_tb=0.1 * x.b_tb + model.encode(x_a, x_b)[:, 4:] @ model.dec_b_pb[3:])
        active = model.active(model.inputs(x_a, x_b)).select_features(tested)
        ablation = Ablation(model, tested, torch.ones(1 + copies, dtype=torch.bool))
        ablation.add(active, x, x._replace(b_tb=0.1 * x_b))
        return ablation

    one, four = measured(1), measured(4)
    assert one.joint_strengths(np.ones(2, bool)) == pytest.approx(one.strengths(np.ones(2, bool)))
    alone, joint = (make(np.ones(5, bool)) for make in (four.strengths, four.joint_strengths))
    whole = one.strengths(np.ones(2, bool))[1]
    assert joint[1:] == pytest.approx([whole] * 4, rel=1e-4)
    assert joint[1] == pytest.approx(four.strength([1, 2, 3, 4], "candidate"), rel=1e-6)
    assert (alone[1:] < whole / 10).all()
    assert joint[0] == pytest.approx(alone[0])


def test_features_that_fire_together_are_one_difference() -> None:
    r = np.eye(5)
    r[0, 1] = r[1, 0] = 0.9  # two copies
    fires = np.diag([50.0, 50.0, 40.0, 4.0, 30.0])
    fires[2, 3] = fires[3, 2] = 4.0  # one fires only within the other
    assert clusters.cluster(r, fires) == [[0, 1], [2, 3], [4]]
    assert clusters.cluster(np.zeros((0, 0)), np.zeros((0, 0))) == []


def test_one_concept_in_both_exclusive_parts_is_no_difference() -> None:
    r = np.eye(3)
    r[0, 2] = r[2, 0] = 0.9
    own_is_b, every = np.array([False, False, True]), np.ones(3, dtype=bool)
    assert clusters.duplicates(r, own_is_b, every).tolist() == [2, -1, 0]
    assert clusters.duplicates(r, own_is_b, ~own_is_b).tolist() == [-1, -1, -1]
    assert clusters.duplicates(np.zeros((0, 0)), every[:0], every[:0]).tolist() == []


def test_owner_of_a_shared_feature_is_where_its_direction_is_longer() -> None:
    model = Crosscoder(CrosscoderConfig("dfc", 4, 4, 2, 1, 1, 1))
    with torch.no_grad():
        model.dec_a_pa[1] *= 5  # the first shared feature, behind the baseline's own
        model.dec_b_pb[1] *= 5  # the second
    assert model.owner_is_candidate().tolist() == [False, False, True, True]
