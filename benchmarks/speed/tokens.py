"""A whole comparison on more and more text: its time, its memory, its limit of detection.

    python -m benchmarks.speed.tokens BASELINE CANDIDATE CORPUS [--sizes N...] [--settings JSON]

Each size in a process of its own, nothing cached, one thread.  Memory is the largest that only
swapping would free, not pages of mapped files.  What is measured already stays in the results.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import Peak, machine
from benchmarks.speed.job import ONE_THREAD

FILE = Path(__file__).parent / "results" / "tokens.json"
SIZES = 20_000, 200_000, 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("baseline", "candidate", "corpus"):
        parser.add_argument(name)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--settings", type=json.loads, default={}, help="others than the defaults")
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--here", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    pair = {name: getattr(args, name) for name in ("baseline", "candidate", "corpus")}
    if args.here:
        print(json.dumps(measured(pair | args.settings, args.here)))
        return
    rows = json.loads(args.out.read_text())["rows"] if args.out.exists() else []
    for size in args.sizes:
        if size in (row["asked"] for row in rows):
            continue
        given = [*pair.values(), "--settings", json.dumps(args.settings), "--here", str(size)]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.speed.tokens", *given],
            env=os.environ | ONE_THREAD,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
        args.out.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


def measured(given: dict[str, Any], tokens: int) -> dict[str, Any]:
    """One comparison in this process."""
    time.perf_counter = time.process_time  # with which the package times its phases
    import torch

    from pytest_crossdiff.engine import pipeline
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import SIDES

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder, Peak() as peak:
        result = pipeline.run(Settings(**given, tokens=tokens, cache_dir=folder)).result
    training = result.training
    return {
        "asked": tokens,
        "pairs": result.corpus.train_pairs,
        "heldout_pairs": result.corpus.heldout_pairs,
        "features": training.shared + training.baseline_only + training.candidate_only,
        "steps": training.steps,
        "differences": {side: len(result.of(side)) for side in SIDES},
        "limit": {side: result.limit_of_detection(side) for side in SIDES},
        "cpu_seconds": {name: round(value, 1) for name, value in result.seconds.items()},
        "total": round(time.process_time(), 1),
        "peak_mb": round(peak.kilobytes / 1000),
    }


if __name__ == "__main__":
    main()
