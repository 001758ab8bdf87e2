"""Everything that is outstanding on a GPU, one after the other, in under ten minutes.

    python -m benchmarks.speed.gpu [--small]

Each step has a limit of time and a process of its own, so that one that fails costs no other; what
it found is in `benchmarks/speed/results`, what it said is printed.  Exits 1 where a step failed.
--small: sizes with which a CPU takes seconds, into a temporary folder, to try the script.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

RESULTS = Path(__file__).parents[1] / "results"
TESTS = (
    "tests/engine/sparse/test_kernels_triton.py",
    "tests/engine/dictionary/test_bfloat16_encoder.py",
    "tests/engine/dictionary/test_no_device_sync.py",
)
SMALL_CORPUS = ("--features", "8192", "--width", "576", "--active", "64", "--batch", "2048")
TINY = ("--features", "256", "--width", "32", "--active", "4", "--batch", "64", "--steps", "16")
TINY_MODEL = ("--width", "64", "--inner", "128", "--heads", "4", "--blocks", "2", "--tokens", "1")


class Step(NamedTuple):
    """limit: seconds.  arguments: of Python."""

    name: str
    limit: int
    arguments: tuple[str, ...]


def steps(results: Path, *, small: bool) -> list[Step]:
    """Most important first."""
    device, rate = "benchmarks.speed.gpu.training", "benchmarks.speed.gpu.reading"

    def out(name: str) -> tuple[str, str]:
        return "--out", str(results / f"{name}.json")

    return [
        Step("tests that need a GPU", 120, ("-m", "pytest", "-q", *TESTS)),
        Step(
            "training at the size of the largest published run", 180,
            ("-m", device, *(TINY if small else ()), *out("device")),
        ),
        Step(
            "training at the size of a small corpus", 60,
            ("-m", device, *(TINY if small else SMALL_CORPUS), *out("device-small")),
        ),
        Step(
            "reading an 8B model", 180,
            ("-m", rate, *(TINY_MODEL if small else ()), *out("reading-rate")),
        ),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        failed = [
            step.name
            for step in steps(Path(folder) if args.small else RESULTS, small=args.small)
            if not succeeds(step)
        ]
    sys.exit(f"failed: {', '.join(failed)}" if failed else 0)


def succeeds(step: Step) -> bool:
    """Run it, and say how it went."""
    print(f"== {step.name}", flush=True)
    began = time.perf_counter()
    try:
        code = subprocess.run(
            [sys.executable, *step.arguments], timeout=step.limit, check=False
        ).returncode
        how = "done" if code == 0 else f"failed with {code}"
    except subprocess.TimeoutExpired:
        code, how = 1, "stopped: it took too long"
    print(f"== {step.name}: {how}, {time.perf_counter() - began:.0f} s", flush=True)
    return code == 0


if __name__ == "__main__":
    main()
