"""Latent scaling against least squares on the data, and on features whose place is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from benchmarks.toy import pairs_of, toy
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.verification.latent_scaling import LatentScaling, LatentScalingBuilder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations.pairs import Pairs


@torch.no_grad()
def latent_scaling(
    model: Crosscoder, pairs: Pairs, chosen: NDArray[np.int64], own_is_b: NDArray[np.bool_]
) -> LatentScaling:
    made, index = (
        LatentScalingBuilder(model, torch.from_numpy(chosen), torch.from_numpy(own_is_b)),
        chosen,
    )
    for rows in np.array_split(pairs.heldout(), 3):
        x = model.inputs(*pairs.batch(rows))
        f = model.encode(x.a_ta, x.b_tb)
        active = model.active(x).select_features(torch.from_numpy(index))
        made.add(active, x, model.errors(f, x))
    return made.ratios(np.arange(len(chosen)))


@pytest.mark.parametrize("architecture", ["dfc", "standard"])
def test_both_ratios_are_those_of_least_squares(architecture: str) -> None:
    own = 0 if architecture == "standard" else 6
    pairs = toy(width_a=24, width_b=24, tokens=1_000, documents=20).pairs
    model = Crosscoder(CrosscoderConfig(architecture, 24, 24, 20, own, own, 6), 1)
    chosen = np.array([1, 9, 17] if own == 0 else [2, 10, 30])
    own_is_b = np.array([False, True, True])
    found = latent_scaling(model, pairs, chosen, own_is_b)
    x = [v.double() for v in pairs.batch(pairs.heldout())]
    with torch.no_grad():
        f = model.encode(x[0].float(), x[1].float())
        for p, (j, is_b) in enumerate(zip(chosen.tolist(), own_is_b.tolist(), strict=True)):
            without = f.clone()
            without[:, j] = 0
            made = [v.double() for v in model.reconstruct(without)[:2] if v is not None]
            d = model.directions(torch.tensor([j]), candidate=is_b).double()
            column = (f[:, [j]].double() @ d).reshape(-1, 1)

            def beta(target: torch.Tensor, column: torch.Tensor = column) -> float:
                return float(torch.linalg.lstsq(column, target.reshape(-1, 1)).solution)

            errors = [x[i] - made[i] for i in range(2)]
            expected = beta(errors[1 - is_b]) / beta(errors[is_b])
            assert found.error_p[p] == pytest.approx(expected, rel=1e-3)
            expected = beta(made[1 - is_b]) / beta(made[is_b])
            assert found.reconstruction_p[p] == pytest.approx(expected, rel=1e-3)


def planted(strength_in_a: float) -> tuple[float, float]:
    """nu of a candidate-only feature whose concept is in the baseline too, that much weaker."""
    g = torch.Generator().manual_seed(0)
    concept = (torch.rand(2_000, 1, generator=g) < 0.2) * torch.rand(2_000, 1, generator=g)
    d = torch.zeros(8)
    d[0] = 4.0
    noise = torch.randn(2, 2_000, 8, generator=g) * 0.5
    noise[:, :, 0] *= 0.01
    group = (np.arange(2_000) // 50).astype(np.int32)
    pairs = pairs_of(noise[0] + strength_in_a * concept * d, noise[1] + concept * d, group)
    sides = (pairs.a, pairs.b)
    one = [s._replace(scale=s.scale._replace(factor=1.0)) for s in sides]
    pairs = pairs._replace(a=one[0], b=one[1])
    model = Crosscoder(CrosscoderConfig("dfc", 8, 8, 0, 0, 1, 1))
    with torch.no_grad():
        for weights in (model.enc_b_pb, model.dec_b_pb):
            weights[0] = d / 4
    found = latent_scaling(model, pairs, np.array([0]), np.array([True]))
    return float(found.error_p[0]), float(found.reconstruction_p[0])


def test_a_feature_that_only_one_model_has_scales_to_nothing_in_the_other() -> None:
    assert abs(planted(0.0)[0]) < 0.02


def test_a_feature_that_the_dictionary_hides_in_the_other_model_shows_its_strength_there() -> None:
    assert planted(0.5)[0] == pytest.approx(0.5, abs=0.03)


def test_a_feature_that_never_fires_has_no_ratio_and_unequal_widths_are_refused() -> None:
    pairs = toy(width_a=24, width_b=24, tokens=400, documents=20).pairs
    model = Crosscoder(CrosscoderConfig("dfc", 24, 24, 20, 6, 6, 6))
    model.threshold.fill_(1e9)
    found = latent_scaling(model, pairs, np.array([3]), np.array([False]))
    assert np.isnan(found.error_p).all()
    unlike = Crosscoder(CrosscoderConfig("dfc", 24, 32, 20, 6, 6, 6))
    with pytest.raises(ValueError, match="one width"):
        latent_scaling(unlike, pairs, np.array([3]), np.array([False]))
