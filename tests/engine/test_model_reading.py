"""Several layers of a model, and what its head reads, taken from one forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from pytest_crossdiff.engine import model_reading
from pytest_crossdiff.engine.activations import shard_reading
from pytest_crossdiff.engine.activations.harvest import Harvest
from pytest_crossdiff.engine.metrics.final_states import FinalStates, read_final_states
from pytest_crossdiff.engine.metrics.measure import chosen_pieces
from pytest_crossdiff.engine.model_reading import read_in_one_pass, read_models
from pytest_crossdiff.engine.models import one_pass
from pytest_crossdiff.engine.models.loaded import also_at, load, read_batch
from pytest_crossdiff.engine.plan import Plan, plan
from pytest_crossdiff.errors import ActivationError
from pytest_crossdiff.progress import SilentProgress
from support import planted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LAYERS = (0, 1, "output")


@pytest.fixture(scope="module")
def speaker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted.speaker(tmp_path_factory.mktemp("models") / "speaker")


def planned(model: Path, cache: Path, layers: Any = LAYERS, **others: Any) -> Plan:
    """The comparison at the first of `layers`, of a run that compares at all of them."""
    settings = planted.quick(model, model, cache, layer=layers, tokens=4_000, **others)
    return plan(next(iter(settings.by_layer().values())))


def harvest_of(made: Plan, layer: object) -> Harvest:
    keys = {at: key for key, at in made.layers_by_key["baseline"].items()}
    return Harvest(made.store.entry("harvest", keys[layer]))


def read_alone(model: Path, cache: Path, layer: object) -> Harvest:
    alone = plan(planted.quick(model, model, cache, layer=layer, tokens=4_000))
    read_models(alone, SilentProgress())
    return Harvest(alone.store.entry("harvest", alone.harvest_keys["baseline"]))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """For each batch that is read, at how many layers."""
    counted: list[int] = []
    read: Callable[..., Any] = shard_reading.read_layers

    def counting(views: Any, *inputs: Any) -> Any:
        counted.append(len(views))
        return read(views, *inputs)

    monkeypatch.setattr(shard_reading, "read_layers", counting)
    return counted


def test_one_pass_gives_every_layer_what_a_pass_of_its_own_gives(
    speaker: Path, tmp_path: Path, passes: list[int]
) -> None:
    together = planned(speaker, tmp_path / "together")
    read_in_one_pass(together, "baseline", SilentProgress())
    assert set(passes) == {3}
    for layer in LAYERS:
        found, alone = harvest_of(together, layer), read_alone(speaker, tmp_path / "alone", layer)
        every = np.arange(len(alone))
        assert torch.equal(found.vectors(every), alone.vectors(every))
        np.testing.assert_array_equal(found.nll_n, alone.nll_n)
        assert found.meta | {"seconds": 0} == alone.meta | {"seconds": 0}


def test_what_the_head_reads_is_taken_from_the_same_pass(speaker: Path, tmp_path: Path) -> None:
    made = planned(speaker, tmp_path)
    read_in_one_pass(made, "baseline", SilentProgress())
    found = FinalStates.load(made.store.entry("states", made.state_keys["baseline"]))
    entry = made.store.entry("states", "by-itself")
    with entry.lock():
        loaded = load(str(speaker), dtype="float32", device="cpu")
        pieces, silent = chosen_pieces(made), SilentProgress()
        read_final_states(
            loaded, pieces, entry, chat_template="own", label="baseline", progress=silent
        )
    alone = FinalStates.load(entry)
    np.testing.assert_array_equal(found.ids_n, alone.ids_n)
    np.testing.assert_array_equal(found.starts_n, alone.starts_n)
    torch.testing.assert_close(found.states_nd, alone.states_nd, atol=1e-5, rtol=1e-5)


def test_an_interrupted_pass_goes_on_and_ends_in_the_same_bits(
    speaker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, whole = (planned(speaker, tmp_path / name) for name in ("cut", "whole"))
    read_in_one_pass(whole, "baseline", SilentProgress())
    reading = shard_reading.Reading.read

    def cut_off(self: Any, names: Any, advance: Any) -> Any:
        yield next(reading(self, names, advance))
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shard_reading.Reading, "read", cut_off)
        with pytest.raises(KeyboardInterrupt):
            read_in_one_pass(made, "baseline", SilentProgress())
    read_models(made, SilentProgress())
    for layer in LAYERS:
        cut, found = harvest_of(made, layer), harvest_of(whole, layer)
        assert torch.equal(*(x.vectors(np.arange(len(found))) for x in (cut, found)))
    states = made.store.entry("states", made.state_keys["baseline"])
    assert states.read_manifest() is None, "of the first shard nothing was heard the second time"


def test_a_block_that_the_next_one_overwrites_is_read_as_it_was(speaker: Path) -> None:
    first = load(str(speaker), layer=0, dtype="float32", device="cpu")
    forward = first.blocks[1].forward

    def in_place(hidden: torch.Tensor, *others: Any, **named: Any) -> Any:
        return forward(hidden.mul_(1.5), *others, **named)

    first.blocks[1].forward = in_place
    views = [first, also_at(first, 1)]
    ids = torch.arange(5, 12)[None]
    assert one_pass.agree_in_one_pass(views, [ids, ids[:, :3]])
    found = one_pass.read_layers(views, ids, torch.ones_like(ids))
    alone = [read_batch(view, ids, torch.ones_like(ids)) for view in views]
    assert all(torch.equal(x.vectors_bpd, y.vectors_bpd) for x, y in zip(found, alone, strict=True))


def test_layers_that_one_pass_would_read_otherwise_are_read_one_by_one(
    speaker: Path, tmp_path: Path, passes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_reading, "agree_in_one_pass", lambda *_: False)
    made = planned(speaker, tmp_path)
    read_models(made, SilentProgress())
    assert set(passes) == {1}
    assert len(harvest_of(made, 0)) > 0


def test_a_head_that_gives_no_numbers_keeps_no_block_from_being_read(tmp_path: Path) -> None:
    folder = planted.broken_head(tmp_path / "model")
    made = planned(folder, tmp_path / "cache", (0, "output"))
    read_models(made, SilentProgress())
    assert len(harvest_of(made, 0)) > 0
    predictions = planned(folder, tmp_path / "cache", ("output", 0))
    with pytest.raises(ActivationError, match="NaN or infinite"):
        read_models(predictions, SilentProgress())
