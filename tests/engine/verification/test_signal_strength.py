"""The strength of a difference against signals of which it is known how much stands where."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks.toy import toy
from pytest_crossdiff.engine.activations.pairs import PAIRS_PER_BLOCK
from pytest_crossdiff.engine.controls.planted_signals import SIGNAL_LEVELS, plant_signals
from pytest_crossdiff.engine.dictionary.crosscoder import CrosscoderConfig
from pytest_crossdiff.engine.dictionary.crosscoders import new_models
from pytest_crossdiff.engine.sparse.kernels import build_active
from pytest_crossdiff.engine.verification.heldout import Innovations
from pytest_crossdiff.engine.verification.signal_strength import (
    FeatureSet,
    joint_strengths,
    strengths,
)
from support.dictionaries import CPU, sparse

SIDE = "candidate"
STRONG = [n for n, level in enumerate(SIGNAL_LEVELS) if level.strength >= 0.001]


class World:
    """Toy pairs with the ladder planted, and a dictionary that makes of it what a test says."""

    def __init__(self) -> None:
        self.unexplained = 0.0
        self.pairs = plant_signals(toy(tokens=40_000, bend=0.0, own=0).pairs)
        config = CrosscoderConfig("innovation", 32, 48, 16, 4, 4, 4)
        (self.model,) = new_models({0: config}, self.pairs)
        heldout = self.pairs.heldout()
        x_nd = self.pairs.batch(heldout)[1].double()
        self.variance = float((x_nd - x_nd.mean(0)).square().sum())
        self.realised_s = (
            self.pairs.planted_signals.summed_squares(SIDE, self.planted(heldout)) / self.variance
        )

    def planted(self, rows):
        return self.pairs.planted_signals.activations(SIDE, rows).numpy()

    def held(self, made):
        """One whose features fire as `made` does of the planted activations, (n, s) → (n, p)."""
        training, heldout = (
            made(self.planted(rows)).astype(np.float32)
            for rows in (self.pairs.training(), self.pairs.heldout())
        )
        token, feature = map(torch.from_numpy, np.nonzero(training))
        value = torch.from_numpy(training)[token, feature]
        order = feature.argsort(stable=True)
        active = build_active(token[order], feature[order], value[order], *training.shape)
        count = training.shape[1]
        return SimpleNamespace(
            pairs=self.pairs,
            f_np=sparse(heldout, *range(PAIRS_PER_BLOCK, len(heldout), PAIRS_PER_BLOCK)),
            index_p=np.arange(count),
            norm_p=np.ones(count),
            innovations=Innovations(self.model, active, CPU),
            ablation=SimpleNamespace(
                variance=lambda _: self.variance, strength=lambda *_: self.unexplained
            ),
        )


@pytest.fixture(scope="module")
def world():
    return World()


def test_signals_measure_what_they_are(world):
    held = world.held(lambda planted: planted)
    found = strengths([FeatureSet(held, [s]) for s in STRONG], SIDE)
    assert found == pytest.approx(world.realised_s[STRONG], rel=0.1)


def test_they_do_though_the_dictionary_shrinks_them_and_fires_in_vain(world):
    random = np.random.default_rng(1)

    def made(planted):
        return 0.2 * np.maximum(planted - 0.4, 0) + 0.05 * (random.random(planted.shape) < 0.005)

    found = strengths([FeatureSet(world.held(made), [s]) for s in STRONG], SIDE)
    assert found == pytest.approx(world.realised_s[STRONG], rel=0.2)


def test_copies_are_one_and_what_fires_anywhere_is_nothing(world):
    random = np.random.default_rng(2)

    def made(planted):
        anywhere = random.random((len(planted), 1)) < 0.01
        return np.hstack([planted[:, [-1, -1]], planted[:, [-2]], anywhere])

    held = world.held(made)
    one, both, other, nothing = strengths(
        [FeatureSet(held, of) for of in ([0], [0, 1], [2], [3])], SIDE
    )
    assert one == pytest.approx(both, rel=1e-5)
    assert nothing < 0.02 * one
    parts = [FeatureSet(held, [0]), FeatureSet(held, [1]), FeatureSet(held, [2])]
    (joint,) = joint_strengths([parts], SIDE)
    assert joint == pytest.approx(one + other, rel=0.05)
    other_dictionary = world.held(made)
    second = [part._replace(held=other_dictionary) for part in parts]
    assert joint_strengths([parts, [], second], SIDE) == pytest.approx([joint, 0.0, joint])


def test_what_goes_unexplained_counts_where_it_is_more(world, monkeypatch):
    """As of a difference with several directions, of which the mean is one."""
    held = world.held(lambda planted: planted)
    monkeypatch.setattr(world, "unexplained", 0.5)
    assert strengths([FeatureSet(held, [0])], SIDE) == [0.5]
    assert joint_strengths([[FeatureSet(held, [0])]], SIDE) == [0.5]


def test_what_fires_nowhere_has_no_strength(world):
    held = world.held(lambda planted: planted * 0)
    assert strengths([FeatureSet(held, [0]), FeatureSet(held, [])], SIDE) == [0.0, 0.0]
    assert strengths([], SIDE) == []
    assert joint_strengths([[]], SIDE) == [0.0]


def test_without_innovations_it_is_what_goes_unexplained():
    ablation = SimpleNamespace(strength=lambda of, _: sum(of) / 100)
    held = SimpleNamespace(innovations=None, ablation=ablation)
    parts = [FeatureSet(held, [1, 2]), FeatureSet(held, [4])]
    assert strengths(parts, SIDE) == [0.03, 0.04]
    assert joint_strengths([parts], SIDE) == pytest.approx([0.07])
