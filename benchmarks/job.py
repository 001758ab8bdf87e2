"""Where the seconds of a whole comparison go, from start to verdict.

    python -m benchmarks.job BASELINE CANDIDATE CORPUS [--tokens 8000] [--out FILE.json]

CPU seconds of each phase, with nothing cached and one thread.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.options import Settings

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self


class Phase:
    """Notes the CPU time between its beginning and its end."""

    def __init__(self, name: str, seconds: dict[str, float]) -> None:
        self.name, self.seconds = name, seconds

    def __enter__(self) -> Self:
        self.began = time.process_time()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None
    ) -> None:
        spent = time.process_time() - self.began
        self.seconds[self.name] = self.seconds.get(self.name, 0.0) + spent

    def advance(self, steps: float = 1, detail: str = "") -> None:
        """Nothing is shown."""


class Stopwatch:
    """A progress listener that only measures."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def phase(self, name: str, total: float, unit: str) -> Phase:  # noqa: ARG002
        return Phase(name, self.seconds)

    def note(self, message: str) -> None:
        """Nothing is shown."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("baseline")
    parser.add_argument("candidate")
    parser.add_argument("corpus")
    parser.add_argument("--tokens", type=int, default=8_000)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    began, watch = time.process_time(), Stopwatch()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            baseline=args.baseline,
            candidate=args.candidate,
            corpus=args.corpus,
            tokens=args.tokens,
            cache_dir=folder,
        )
        result = pipeline.run(settings, progress=watch).result  # type: ignore[arg-type]
    total = time.process_time() - began
    found = dict(watch.seconds)
    found["the rest: loading, aligning, writing"] = total - sum(found.values())
    found["total"] = total
    print(json.dumps({"cpu_seconds": found, "steps": result.training.steps}, indent=1))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
