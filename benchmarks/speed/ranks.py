"""Wall time of one process and of several that share a run, from an empty cache, in turn.

    python -m benchmarks.speed.ranks BASELINE CANDIDATE CORPUS [--settings JSON] [--ranks 2]
                                     [--rounds N] [--out FILE.json]

One process and torchrun fill a cache of their own with everything up to the report, on one thread
each; the wall time contains Python's start.  CPU seconds are those of all processes together.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import machine

HOME = Path(__file__).parents[2]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "HF_HUB_OFFLINE": "1"}


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("baseline", "candidate", "corpus"):
        parser.add_argument(name)
    parser.add_argument("--settings", type=json.loads, default={}, help="others than the defaults")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    pair = {name: getattr(args, name) for name in ("baseline", "candidate", "corpus")}
    rows = []
    for _ in range(args.rounds):
        for ranks in (1, args.ranks):
            rows.append(measured({**pair, **args.settings}, ranks))
            print(json.dumps(rows[-1]), flush=True)
    alone, shared = (min(r["wall"] for r in rows if r["ranks"] == n) for n in (1, args.ranks))
    found = {"machine": machine(), "settings": args.settings, "rows": rows}
    found["ratio of least walls"] = round(shared / alone, 3)
    print(found["ratio of least walls"])
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


def measured(settings: dict[str, Any], ranks: int) -> dict[str, Any]:
    """Seconds of a run with nothing cached, and the largest memory of a process."""
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"crossdiff_{name} = {value}" for name, value in settings.items()]
        (Path(folder) / "pytest.ini").write_text("\n".join(["[pytest]", *lines]), "utf-8")
        many = ["torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", "-m"]
        program = ["-m", *(many if ranks > 1 else []), "pytest_crossdiff", "train", "--no-verdict"]
        before, load = resource.getrusage(resource.RUSAGE_CHILDREN), os.getloadavg()[0]
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, *program, "-q", f"--cache-dir={folder}/cache"],
            cwd=folder, env={**os.environ, **ONE_THREAD, "PYTHONPATH": str(HOME)}, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        wall = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "ranks": ranks,
        "wall": round(wall, 1),
        "cpu": round(cpu, 1),
        "load before": round(load, 1),
        "peak GB of a process so far": round(after.ru_maxrss / 2**20, 2),
    }


if __name__ == "__main__":
    main()
