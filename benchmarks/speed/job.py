"""Where the seconds of a whole comparison go, from start to verdict, today and in another version.

    python -m benchmarks.speed.job BASELINE CANDIDATE CORPUS [--settings JSON] [--out FILE.json]
    python -m benchmarks.speed.job BASELINE CANDIDATE CORPUS --against COMMIT [--rounds N]
    python -m benchmarks.speed.job BASELINE CANDIDATE CORPUS --threads N [--rounds N]

CPU seconds of each phase with nothing cached and one thread, and the peak memory.  With --against,
a checkout of that commit is measured in turn with this one, each round in two new processes, with
the same packages, models, texts and settings; the ratios' spread is their least and their most.
With --threads the seconds of wall time on so many cores, which should be idle, beside those on one,
as a whole and of each phase.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

BEGAN = time.perf_counter()
PARTS = ("shared", "baseline_only", "candidate_only")
HOME = Path(__file__).parents[2]
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "passive",
    "TOKENIZERS_PARALLELISM": "false",
}
Measured = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("baseline", "candidate", "corpus"):
        parser.add_argument(name)
    parser.add_argument("--settings", type=json.loads, default={}, help="others than the defaults")
    parser.add_argument("--against", metavar="COMMIT", help="another version to measure in turn")
    parser.add_argument("--threads", type=int, default=1, help="wall time on so many beside one")
    parser.add_argument("--rounds", type=int, default=2, help="of each version")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--here", choices=("cpu", "wall"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    pair = {name: getattr(args, name) for name in ("baseline", "candidate", "corpus")}
    if args.here:
        print(json.dumps(measured(pair, args.settings, args.here == "wall")))
        return
    given = [*pair.values(), "--settings", json.dumps(args.settings)]
    if args.against:
        found = compared(given, args.against, args.rounds)
    elif args.threads > 1:
        found = on_threads(given, args.threads, args.rounds)
    else:
        found = _in_a_process(HOME, given)
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


def compared(given: list[str], commit: str, rounds: int) -> Measured:
    """Both versions in turn, and what this one takes of the other's CPU seconds."""
    from benchmarks.machine import machine  # the other version, measured by this file, has none

    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "other"
        _git("worktree", "add", "--detach", str(other), commit)
        try:
            runs: dict[str, list[Measured]] = {"before": [], "now": []}
            for _ in range(rounds):
                for name, home in (("before", other), ("now", HOME)):
                    runs[name].append(_in_a_process(home, given))
                    print(name, runs[name][-1]["total"], "CPU s", file=sys.stderr, flush=True)
        finally:
            _git("worktree", "remove", "--force", str(other))
    return {
        "machine": machine(),
        "against": commit,
        **runs,
        **_ratios(list(runs.values()), "cpu_seconds"),
    }


def on_threads(given: list[str], threads: int, rounds: int) -> Measured:
    """Wall and CPU seconds of whole processes on one thread and on `threads`, in turn."""
    from benchmarks.machine import machine

    runs: dict[int, list[Measured]] = {1: [], threads: []}
    for _ in range(rounds):
        for count, of in runs.items():
            of.append(_in_a_process(HOME, given, count, "wall"))
            print(count, of[-1]["total"], "s", file=sys.stderr, flush=True)
    return {
        "machine": machine(),
        "threads": {str(count): of for count, of in runs.items()},
        **_ratios(list(runs.values()), "wall_seconds"),
    }


def _ratios(runs: list[list[Measured]], name: str) -> Measured:
    """The second's seconds as shares of the first's, by phase and in all."""
    phases = dict.fromkeys(phase for of in runs for one in of for phase in one[name])
    seconds = {
        phase: [[one[name].get(phase, 0.0) for one in of] for of in runs] for phase in phases
    }
    return {
        "ratio_by_phase": {phase: _ratio(*of) for phase, of in seconds.items()},
        "ratio": _ratio(*[[one["total"] for one in of] for of in runs]),
    }


def _ratio(before: list[float], now: list[float]) -> dict[str, float] | None:
    of_rounds = [b / a for a, b in zip(before, now, strict=True) if a > 0]
    if not of_rounds:
        return None
    middle = statistics.median(of_rounds)
    spread = {"median": middle, "least": min(of_rounds), "most": max(of_rounds)}
    return {name: round(number, 3) for name, number in spread.items()}


def _in_a_process(home: Path, given: list[str], threads: int = 1, clock: str = "cpu") -> Measured:
    """This file's `measured`, with the package at `home`."""
    path = os.pathsep.join((str(home), str(HOME)))
    done = subprocess.run(
        [sys.executable, __file__, *given, "--here", clock],
        env=os.environ | ONE_THREAD | {"OMP_NUM_THREADS": str(threads), "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=home,
    )
    found: Measured = json.loads(done.stdout.splitlines()[-1])
    return found


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(HOME), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def measured(pair: dict[str, str], others: Measured, wall: bool = False) -> Measured:
    """A comparison with an empty cache, in this process; its CPU seconds, or those of the wall."""
    if not wall:
        time.perf_counter = time.process_time  # with which the package times its phases
    began = BEGAN if wall else 0.0
    import torch

    from pytest_crossdiff.engine import compute, pipeline

    try:
        from pytest_crossdiff.settings import Settings, fields
    except ImportError:  # where versions before December 2026 had them
        from pytest_crossdiff.options import Settings, fields  # type: ignore[import-not-found,no-redef]

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    known = {field.name: field for field in fields()}
    given = {
        name: known[name].parse(value) if isinstance(value, str) else value
        for name, value in others.items()
        if name in known  # an earlier version hasn't all of them
    }
    phases = {"importing torch and the rest": time.perf_counter() - began}
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(**pair, cache_dir=folder, **given)
        results = [pipeline.run(of).result for of in settings.by_layer().values()]
    total = time.perf_counter() - began
    for result in results:
        for phase, seconds in result.seconds.items():
            phases[phase] = phases.get(phase, 0.0) + seconds
    phases["the rest"] = total - sum(phases.values())
    home = Path(compute.__file__).parents[2]
    commit = ["git", "-C", str(home), "describe", "--always", "--dirty"]
    version = subprocess.run(commit, capture_output=True, text=True, check=False).stdout.strip()
    return {
        "version": version,
        "layers": [result.baseline.layer for result in results],
        "tokens": results[0].baseline.tokens,
        "training_pairs": [result.corpus.train_pairs for result in results],
        "widths": [[result.baseline.width, result.candidate.width] for result in results],
        "dictionary": [[getattr(of.training, part) for part in PARTS] for of in results],
        "steps": [result.training.steps for result in results],
        "dictionaries": len(getattr(results[0].training, "seeds", (0,))),
        "differences": [
            {side: len(result.of(side)) for side in ("baseline", "candidate")} for result in results
        ],
        "wall_seconds" if wall else "cpu_seconds": {
            name: round(value, 1) for name, value in phases.items()
        },
        "total": round(total, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }


if __name__ == "__main__":
    main()
