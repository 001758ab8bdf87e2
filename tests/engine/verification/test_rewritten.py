"""What one of two related models writes on places that both know, where the truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from benchmarks.toy import Toy, pairs_of, toy
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.dictionary.crosscoders import new_models
from pytest_crossdiff.engine.dictionary.training import TrainingConfig
from pytest_crossdiff.engine.verification.model_distance import model_distance
from pytest_crossdiff.settings import Settings
from support.dictionaries import judged, learnt

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.verification.verify import Verification

WRITTEN = 3
"""The shared concept on whose strong half the candidate writes something new."""


@pytest.fixture(scope="module")
def world() -> Toy:
    return toy(own=0, bend=0.0, rotated=False, width_a=48, width_b=48)


def rewritten(t: Toy, size: float) -> tuple[Pairs, torch.Tensor]:
    """The pair with the write, and the places of it."""
    places_n = t.activation_nc[:, WRITTEN] > 1.0
    direction = torch.randn(48, generator=torch.Generator().manual_seed(5))
    added = size * places_n[:, None] * direction / direction.norm()
    x_a, x_b = (side.harvest.vectors(np.arange(len(places_n))) for side in (t.pairs.a, t.pairs.b))
    made = pairs_of(x_a, x_b + added, t.pairs.group_n)
    return made._replace(heldout_n=t.pairs.heldout_n), places_n


def found(pairs: Pairs, folder: Path, settings: Settings) -> Verification:
    config = CrosscoderConfig("innovation", 48, pairs.b.harvest.width, 64, 8, 8, 4)
    model = learnt(pairs, config, folder, TrainingConfig(400, 512, 2e-3))
    return judged(model, pairs, settings)


SETTINGS = Settings(bootstrap=2_000)


@pytest.mark.parametrize("other_way", [False, True])
def test_a_write_is_found_on_the_side_that_writes_it(
    world: Toy, tmp_path: Path, *, other_way: bool
) -> None:
    pairs, places_n = rewritten(world, 1.0)
    if other_way:
        pairs = pairs._replace(a=pairs.b, b=pairs.a)
    verified = found(pairs, tmp_path, SETTINGS)
    writer, reader = ("baseline", "candidate") if other_way else ("candidate", "baseline")
    at = verified.positions(writer)
    assert at
    assert not verified.positions(reader)
    assert {verified.features[p].kind for p in at} == {"rewritten"}
    f_n = verified.held.f_np[:, at].max(1)
    truth_n = places_n.numpy()[pairs.heldout()]
    strongest = np.argsort(-f_n)[: truth_n.sum()]
    assert truth_n[strongest].mean() > 0.95


def test_without_the_setting_it_is_not_counted(world: Toy, tmp_path: Path) -> None:
    pairs, _ = rewritten(world, 1.0)
    verified = found(pairs, tmp_path, SETTINGS.with_values(rewritten=False))
    assert not verified.positions("candidate")
    assert not verified.positions("baseline")


def test_where_nothing_is_written_nothing_is_found(world: Toy, tmp_path: Path) -> None:
    pairs, _ = rewritten(world, 0.0)
    verified = found(pairs, tmp_path, SETTINGS)
    assert not any(f.verified or f.undecided for f in verified.features)


@pytest.mark.parametrize(("bend", "expected"), [(0.0, True), (0.2, True), (1.0, False)])
def test_models_are_related_when_the_maps_leave_little(bend: float, *, expected: bool) -> None:
    pairs = toy(own=0, bend=bend, width_a=48, width_b=48, tokens=6_000).pairs
    (model,) = new_models({0: CrosscoderConfig("innovation", 48, 48, 16, 4, 4, 4)}, pairs)
    assert model_distance(model, pairs, Settings()).related is expected
    dfc = Crosscoder(CrosscoderConfig("dfc", 48, 48, 16, 4, 4, 4), 0)
    own_maps, fitted = (model_distance(m, pairs, Settings()).unmapped for m in (model, dfc))
    assert own_maps == pytest.approx(fitted, rel=1e-4)


def test_between_related_models_a_larger_write_counts_more_however_large(
    world: Toy, tmp_path: Path
) -> None:
    """Without the models' descent the same writes are lost as soon as the maps leave a tenth."""
    counted, unmapped = [], []
    for size in (2.0, 4.0, 8.0, 16.0):
        pairs, _ = rewritten(world, size)
        verified = found(pairs._replace(related=True), tmp_path / str(size), SETTINGS)
        features = [verified.features[p] for p in verified.positions("candidate")]
        assert {f.kind for f in features} == {"rewritten"}
        assert not verified.positions("baseline")
        counted.append(max(f.strength for f in features))
        unmapped.append(verified.distance.unmapped[1])
    assert counted == sorted(counted)
    assert unmapped[1] < 0.1 < 0.3 < unmapped[3]
    assert verified.distance.exclusivity == (0.5, 0.5)
    far, _ = rewritten(world, 16.0)
    assert not found(far, tmp_path / "unrelated", SETTINGS).positions("candidate")
