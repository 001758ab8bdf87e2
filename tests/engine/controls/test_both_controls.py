"""Both controls of a run, made after its dictionaries or beside them."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from benchmarks.toy import toy
from pytest_crossdiff.engine.controls.beside import controls_beside
from pytest_crossdiff.engine.controls.controls import CONTROLS, control_config
from pytest_crossdiff.engine.controls.shared_progress import Ended, SharedProgress
from pytest_crossdiff.engine.dictionary.crosscoders import new_models
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.store.cache import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Written(SilentProgress):
    """Keeps what it is told: phases with what was done in each, and remarks."""

    def __init__(self) -> None:
        self.done: dict[str, int] = {}
        self.remarks: list[str] = []

    def phase(self, name: str, total: int, unit: str) -> Any:
        written = super().phase(name, total, unit)
        self.done[name] = 0

        def advance(units: int = 1, detail: str = "") -> None:
            self.done[name] += units

        written.advance = advance  # type: ignore[method-assign]
        return written

    def note(self, message: str) -> None:
        self.remarks.append(message)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_made_beside_other_work_they_find_what_they_find_after_it(
    tmp_path: Path, two_threads: None
) -> None:
    pairs, cpu = toy(tokens=6_000).pairs, torch.device("cpu")
    settings = Settings(features=48, k=4, steps=30, batch_size=256, controls=True)
    found, threads = [], []
    for count in (1, 2):
        torch.set_num_threads(count)
        plan: Any = SimpleNamespace(
            settings=settings,
            store=Store(tmp_path / str(count)),
            control_keys=dict.fromkeys(CONTROLS, "key"),
        )
        with controls_beside(plan, pairs, cpu, SilentProgress()) as finish:
            config = dataclasses.replace(control_config(plan, pairs), shared=32)
            (model,) = new_models({settings.seed: config}, pairs)
            names = [thread.name for thread in threading.enumerate()]
            threads.append(sum(name.startswith("crossdiff-control") for name in names))
            found.append(finish(model))
    assert threads == [0, 1]
    assert found[0] == found[1]
    assert found[0].null is not None
    assert len(found[0].planted_signals) > 0


class TestSharedProgress:
    def test_a_phase_is_shown_with_what_is_done_once_it_is_waited_for(self) -> None:
        written = Written()
        shared = SharedProgress(written)
        with shared.phase("train", 3, "step") as bar:
            bar.advance(2)
            shared.note("a remark")
            assert (written.done, written.remarks) == ({}, [])
            shared.show()
            bar.advance()
        assert (written.done, written.remarks) == ({"train": 3}, ["a remark"])

    def test_of_two_phases_the_other_is_shown_when_one_is_over(self) -> None:
        written = Written()
        shared = SharedProgress(written)
        with shared.phase("first", 3, "step") as first:
            first.advance(2)
            with shared.phase("second", 3, "step") as second:
                shared.show()
                first.advance()
                second.advance()
                assert written.done == {"second": 1}
        assert written.done == {"second": 1, "first": 3}

    def test_what_ends_the_run_ends_the_work_at_its_next_step(self) -> None:
        shared, begun = SharedProgress(SilentProgress()), threading.Event()

        def work() -> None:
            with shared.phase("train", 1, "step") as bar:
                while True:
                    bar.advance()
                    begun.set()

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(work)
            begun.wait()
            with pytest.raises(KeyboardInterrupt), shared.ended_together():
                raise KeyboardInterrupt
            assert isinstance(working.exception(timeout=60), Ended)
