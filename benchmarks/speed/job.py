"""Where the seconds of a whole comparison go, from start to verdict.

    python -m benchmarks.speed.job BASELINE CANDIDATE CORPUS [--settings JSON] [--out FILE.json]

CPU seconds of each phase with nothing cached and one thread, and the peak memory.  Run with
PYTHONPATH at another version's checkout, the file measures that version.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

PARTS = ("shared", "baseline_only", "candidate_only")
BEGAN = time.process_time()


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("baseline", "candidate", "corpus"):
        parser.add_argument(name)
    parser.add_argument("--settings", type=json.loads, default={}, help="others than the defaults")
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    import torch

    from pytest_crossdiff.engine import compute, pipeline
    from pytest_crossdiff.settings import Settings

    torch.set_num_threads(1)
    imported = time.process_time() - BEGAN
    compute.time = SimpleNamespace(perf_counter=time.process_time)
    models = {"baseline": args.baseline, "candidate": args.candidate, "corpus": args.corpus}
    with tempfile.TemporaryDirectory() as folder:
        result = pipeline.run(Settings(**models, cache_dir=folder, **args.settings)).result
    total = time.process_time() - BEGAN
    phases = {"importing torch and the rest": imported, **result.seconds}
    phases["plan, estimate, writing"] = total - sum(phases.values())
    home = Path(compute.__file__).parents[2]
    commit = ["git", "-C", str(home), "describe", "--always", "--dirty"]
    found = {
        "version": subprocess.run(commit, capture_output=True, text=True, check=False).stdout[:7],
        "tokens": result.baseline.tokens,
        "training_pairs": result.corpus.train_pairs,
        "widths": [result.baseline.width, result.candidate.width],
        "dictionary": [getattr(result.training, part) for part in PARTS],
        "steps": result.training.steps,
        "dictionaries": len(getattr(result.training, "seeds", (0,))),
        "tested": len(result.features),
        "cpu_seconds": {name: round(value, 1) for name, value in phases.items()},
        "total": round(total, 1),
        "verification_share": round(phases["verify features"] / phases["train crosscoder"], 3),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
    }
    print(json.dumps(found, indent=1))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
