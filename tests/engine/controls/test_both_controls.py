"""Both controls of a run, made one after the other or at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from benchmarks.toy import toy
from pytest_crossdiff.engine.controls.controls import CONTROLS, run_controls
from pytest_crossdiff.engine.controls.shared_progress import Ended, SharedProgress
from pytest_crossdiff.engine.dictionary.crosscoder import CrosscoderConfig
from pytest_crossdiff.engine.dictionary.crosscoders import new_models
from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.store.cache import Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Written(SilentProgress):
    """Keeps what it is told: the names of phases, and remarks."""

    def __init__(self) -> None:
        self.phases: list[str] = []
        self.remarks: list[str] = []

    def phase(self, name: str, total: int, unit: str) -> Any:
        self.phases.append(name)
        return super().phase(name, total, unit)

    def note(self, message: str) -> None:
        self.remarks.append(message)


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_at_once_they_find_what_they_find_one_after_the_other(
    tmp_path: Path, two_threads: None
) -> None:
    pairs = toy(tokens=6_000).pairs
    widths = pairs.a.harvest.width, pairs.b.harvest.width
    (model,) = new_models({0: CrosscoderConfig("innovation", *widths, 48, 8, 8, 4)}, pairs)
    like = TrainedCrosscoder(model, pairs.a.scale, pairs.b.scale, {"steps": 30})
    found, shown = [], []
    for kinds in (CONTROLS[:1], CONTROLS[1:], CONTROLS):
        plan: Any = SimpleNamespace(
            settings=Settings(seed=0),
            store=Store(tmp_path / "-".join(kinds)),
            control_keys=dict.fromkeys(CONTROLS, "key"),
        )
        written = Written()
        found.append(run_controls(plan, pairs, like, torch.device("cpu"), written, kinds))
        shown.append(written.phases)
    assert found[2] == {**found[0], **found[1]}
    assert shown[1] == ["null control: train", "null control: verify"]
    assert shown[2] == shown[0] == ["planted signals: train", "planted signals: verify"]


class TestSharedProgress:
    def test_of_an_unseen_piece_remarks_alone_are_shown(self) -> None:
        written = Written()
        shown = SharedProgress(written)
        for one in (shown, shown.unseen()):
            with one.phase("train", 2, "step") as bar:
                bar.advance()
            one.note("a remark")
        assert written.phases == ["train"]
        assert written.remarks == ["a remark", "a remark"]

    def test_what_interrupts_the_run_ends_each_piece_at_its_next_step(self) -> None:
        shown, begun = SharedProgress(SilentProgress()), threading.Event()

        def piece(progress: SharedProgress) -> None:
            with progress.phase("train", 1, "step") as bar:
                while True:
                    bar.advance()
                    begun.set()

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(piece, shown.unseen())
            begun.wait()
            with pytest.raises(KeyboardInterrupt), shown.ended_together():
                raise KeyboardInterrupt
            assert isinstance(working.exception(timeout=60), Ended)
