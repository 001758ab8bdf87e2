"""Effects and descriptions of differences found in a whole run on real models from disk."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.explanation import explain
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.results.difference import Description
from support import planted

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.engine.pipeline import Outcome
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.settings import Settings


class Notes(SilentProgress):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.phases: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def phase(self, name: str, total: int, unit: str) -> Any:
        self.phases.append(name)
        return super().phase(name, total, unit)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    root = tmp_path_factory.mktemp("explaining")
    pair = planted.plain(root / "plain"), planted.merged(root / "merged")
    return planted.quick(*pair, root / "cache")


@pytest.fixture(scope="module")
def lost(settings: Settings) -> Outcome:
    return pipeline.run(settings)


def unexplained(result: Result) -> tuple[Any, ...]:
    """What is counted."""
    return tuple(
        dataclasses.replace(d, effect=None, description=Description()) for d in result.differences
    )


def test_each_difference_has_its_effect_and_its_description(lost: Outcome) -> None:
    differences = lost.result.of("baseline")
    assert len(differences) >= 2
    for d in differences:
        assert d.effect is not None
        assert d.effect.measure == "kl"
        assert d.effect.firing > d.effect.elsewhere >= 0.0
        assert d.effect.firing_tokens > 0
        assert d.effect.prompt
        assert d.description.promoted
        assert sum(d.description.positions) == pytest.approx(1.0, abs=1e-3)
        assert d.description.slices == {}  # the texts are one part
    named = {word for d in differences for word, _ in d.description.words}
    assert named & set(planted.MERGED)


def test_switched_off_it_costs_nothing_and_the_same_is_counted(
    lost: Outcome, settings: Settings
) -> None:
    progress = Notes()
    off = pipeline.run(settings.with_values(effect=False), progress=progress)
    assert not off.cached
    assert not [name for name in progress.phases if name.startswith(("effects", "read", "train"))]
    assert all(d.effect is None and not d.description.promoted for d in off.result.differences)
    assert off.result.differences[0].description.words
    assert unexplained(off.result) == unexplained(lost.result)


def test_a_failure_is_told_and_changes_nothing_that_is_counted(
    lost: Outcome, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no memory\nat all")

    monkeypatch.setattr(explain, "measure", fail)
    progress = Notes()
    again = settings.with_values(bootstrap=settings.bootstrap + 1)
    found = pipeline.run(again, progress=progress)
    assert [n for n in progress.notes if "effects" in n] == [
        "effects in the baseline not measured: RuntimeError: no memory"
    ]
    assert len(found.result.differences) == len(lost.result.differences)
    assert all(d.effect is None for d in found.result.differences)
    assert found.result.differences[0].description.words


def test_it_is_read_back_from_the_cache_as_it_was(lost: Outcome, settings: Settings) -> None:
    again = pipeline.run(settings)
    assert again.cached
    assert again.result == lost.result
