"""What a model has at another depth is not missing from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.toy import InMemory, Toy, toy
from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.activations.pairs import with_extra_layers
from pytest_crossdiff.engine.dictionary.crosscoder import CrosscoderConfig
from pytest_crossdiff.errors import ModelError, SettingsError
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.settings.parsing import parse
from pytest_crossdiff.store.cache import Store
from support import planted
from support.dictionaries import judged, learnt

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder

WIDTH = 40


@pytest.fixture(scope="module")
def world() -> Toy:
    return toy(own=4, bend=0.25, width_a=WIDTH, width_b=WIDTH)


@pytest.fixture(scope="module")
def dictionary(world: Toy, tmp_path_factory: pytest.TempPathFactory) -> Crosscoder:
    config = CrosscoderConfig("innovation", WIDTH, WIDTH, 48, 12, 12, 4, 0.5)
    return learnt(world.pairs, config, tmp_path_factory.mktemp("cache"))


def deeper(t: Toy, *, with_the_candidates: bool) -> InMemory:
    """The baseline at another depth: the concepts of both, or noise."""
    g = torch.Generator().manual_seed(9)
    concepts = t.activation_nc[:, list(t.only_b)]
    if not with_the_candidates:
        concepts = concepts[torch.randperm(len(concepts), generator=g)]
    noise = 0.1 * torch.randn(len(concepts), WIDTH, generator=g)
    return InMemory(concepts @ torch.randn(concepts.shape[1], WIDTH, generator=g) + noise)


def test_a_concept_that_the_other_model_has_at_another_depth_is_no_difference(
    world: Toy, dictionary: Crosscoder
) -> None:
    plain = judged(dictionary, world.pairs)
    assert len(plain.positions("candidate")) >= 2
    has, has_not = (
        judged(
            dictionary,
            with_extra_layers(world.pairs, [deeper(world, with_the_candidates=which)], []),
        )
        for which in (True, False)
    )
    assert not has.positions("candidate")
    assert len(has_not.positions("candidate")) >= len(plain.positions("candidate")) - 1
    assert len(has.positions("baseline")) >= len(plain.positions("baseline")) - 1 >= 1


def test_a_run_reads_the_further_layers_and_keeps_what_it_read(tmp_path: Path) -> None:
    models = planted.plain(tmp_path / "a"), planted.merged(tmp_path / "b")
    settings = planted.quick(*models, tmp_path / "cache", controls=False, effect=False)
    plain = pipeline.run(settings)
    assert plain.result.of("baseline")
    wide = pipeline.run(settings.with_values(probe_layers=parse("probe_layers", "0, -1", "test")))
    assert wide.plan.harvest_keys == plain.plan.harvest_keys
    assert wide.plan.crosscoder_keys == plain.plan.crosscoder_keys
    assert wide.result.key != plain.result.key
    assert [f.r2_own for f in wide.result.features] != [f.r2_own for f in plain.result.features]
    assert wide.result.settings["probe_layers"] == "0,-1"
    kept = {info.key for info in Store(tmp_path / "cache").list() if info.kind == "harvest"}
    for side in ("baseline", "candidate"):
        assert {plain.plan.harvest_keys[side], *wide.plan.probe_keys[side]} <= kept
    # What merging words lost, it lost at every depth.
    assert wide.result.of("baseline")


def test_a_layer_that_is_not_there_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    models = planted.plain(tmp_path / "a"), planted.merged(tmp_path / "b")
    settings = planted.quick(*models, tmp_path / "cache", probe_layers="99")
    with pytest.raises(ModelError, match="99"):
        pipeline.run(settings)
    assert not [info for info in Store(tmp_path / "cache").list() if info.kind == "crosscoder"]


@pytest.mark.parametrize("raw", ["a", "1,1.5", "0.5;1"])
def test_what_is_no_layer_is_refused(raw: str) -> None:
    with pytest.raises(SettingsError, match="probe_layers"):
        parse("probe_layers", raw, "pytest.ini")


def test_none_is_the_default_and_blanks_do_not_count() -> None:
    assert Settings().extra_probe_layers() == ()
    raw = parse("probe_layers", " 0.25, ,-1,0.25", "pytest.ini")
    assert Settings(probe_layers=raw).extra_probe_layers() == (0.25, -1)
