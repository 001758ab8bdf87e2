"""Stands in for the engine: answers with a made-up result, and keeps what it was asked.

In the same process the fixture `engine` puts it in place.  For a process of its own,
`install_for_subprocess` writes it where `-p fake_engine` finds it.
"""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path
from typing import NamedTuple

from pytest_crossdiff.results.result import Result
from pytest_crossdiff.settings.resolution import require
from pytest_crossdiff.sides import SIDES

MODULE = "pytest_crossdiff.engine.pipeline"


class Outcome(NamedTuple):
    result: Result
    cached: bool
    entry: Path


class FakeEngine(types.ModuleType):
    def __init__(self, result: Result) -> None:
        super().__init__(MODULE)
        self.result = result
        self.error: BaseException | None = None
        self.cached = False
        self.asked: list[tuple[object, object]] = []

    def run(self, settings, texts=None, progress=None):
        require(settings, *SIDES)  # as the plan does
        self.asked.append((settings, texts))
        with progress.phase("harvest baseline", 4, "token") as phase:
            if self.error is not None:
                raise self.error
            phase.advance(4)
        return Outcome(self.result, self.cached, Path("cache", "result", self.result.key))

    def load_crosscoder(self, outcome, progress=None):
        return f"crosscoder of {outcome.entry.name}"


def install_for_subprocess(folder: Path, result: Result) -> None:
    """Let `-p fake_engine` in a process started in `folder` answer with `result`.

    Each measurement leaves a line in `asked.txt`.
    """
    (folder / "fake_engine.py").write_text(Path(__file__).read_text("utf-8"), "utf-8")
    (folder / "fake_result.json").write_text(result.to_json(), "utf-8")


if __name__ == "fake_engine" and Path("fake_result.json").exists():
    engine = FakeEngine(Result.from_json(Path("fake_result.json").read_text("utf-8")))
    _run = engine.run

    def _noted(*arguments):
        with Path("asked.txt").open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\n")
        return _run(*arguments)

    engine.run = _noted
    sys.modules[MODULE] = engine
