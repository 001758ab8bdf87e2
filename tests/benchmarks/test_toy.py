"""The toy world is what its knobs say, and its scores count what they say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.toy import toy
from benchmarks.toy.methods import Row, Score, residual_toy, score
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig


@pytest.mark.parametrize(("bend", "left"), [(0.0, 0.0), (1.0, 0.25), (float("inf"), 0.5)])
def test_bend_is_how_far_the_geometries_are_from_a_linear_map(bend: float, left: float) -> None:
    # 32 concepts in 16 dimensions.  At bend 1 half of every direction's squared length is noise,
    # and a linear map from 16 dimensions fits half of the noise in 32 rows.
    t = toy(shared=32, own=0, width_a=16, width_b=16, bend=bend, tokens=200, documents=10, seed=3)
    fit = torch.linalg.lstsq(t.direction_ca, t.direction_cb).solution
    rest = (t.direction_cb - t.direction_ca @ fit).square().sum(1).mean()
    assert float(rest) == pytest.approx(left, abs=0.1)
    assert float(t.direction_cb.norm(dim=1).min()) == pytest.approx(1.0, abs=1e-5)


def test_planted_concepts_are_in_one_model_alone() -> None:
    t = toy(shared=20, own=3, bend=0.5, tokens=200, documents=10)
    assert (list(t.only_a), list(t.only_b)) == ([20, 21, 22], [23, 24, 25])
    assert not t.direction_cb[20:23].any()
    assert not t.direction_ca[23:].any()
    assert bool((t.direction_ca[:23].norm(dim=1) > 0.99).all())


def test_another_draw_is_other_documents_of_the_same_models() -> None:
    one, other = (toy(tokens=400, documents=20, skew=0.5, topics=0.5, draw=d) for d in (1, 2))
    assert torch.equal(one.direction_ca, other.direction_ca)
    assert not torch.equal(one.activation_nc, other.activation_nc)


def test_frequencies_have_the_density_asked_for_and_heavy_tails() -> None:
    even, uneven = (toy(tokens=8_000, skew=s, topics=s).activation_nc > 0 for s in (0.0, 0.7))
    for fires in (even, uneven):
        assert float(fires.float().mean()) == pytest.approx(0.04, rel=0.15)
    assert uneven.float().mean(0).std() > 3 * even.float().mean(0).std()


def test_a_score_counts_concepts_found_and_false_positives() -> None:
    rows = [
        Row(0, 0.99, 0.8, 0.0, 7, 7, 1.0),
        Row(0, 0.98, 0.8, 0.0, -1, 7, 1.0),  # a copy of it, one difference with it
        Row(1, 0.97, 0.6, 0.0, -1, -1, 0.9),  # two planted concepts in one feature
        Row(2, 0.96, 0.2, 0.1, -1, -1, 0.0),  # nothing
        Row(3, 0.95, 0.7, 0.0, 8, -1, 0.8),
    ]
    assert score(rows) == Score(2, 2, 1, 3, 1, 1, 4)
    assert score(rows, least_r2=0.3) == Score(2, 1, 1, 2, 0, 2, 3)
    assert score([]) == Score(0, 0, 0, 0, 0, 0, 0)


@torch.no_grad()
def test_what_a_dictionary_leaves_is_the_vector_less_its_reconstruction() -> None:
    t = toy(tokens=400, documents=20)
    model = Crosscoder(CrosscoderConfig("dfc", 32, 48, 16, 4, 4, 4), 0)
    model.threshold.fill_(0.1)
    rest = residual_toy(t, model).pairs
    x_a, x_b = t.pairs.batch(np.arange(400))
    made = model.reconstruct(model.encode(x_a, x_b))
    for x, made_x, found in zip((x_a, x_b), made, rest.batch(np.arange(400)), strict=False):
        expected = (x - made_x) - (x - made_x)[~t.pairs.heldout_n].mean(0)
        factor = float((found * expected).sum() / expected.square().sum())
        torch.testing.assert_close(found, factor * expected, rtol=1e-3, atol=1e-3)
    read_a, read_b = rest.probe_vectors(np.arange(5), *rest.batch(np.arange(5)))
    torch.testing.assert_close(read_a[:, 32:], x_a[:5])
    torch.testing.assert_close(read_b[:, 48:], x_b[:5])
