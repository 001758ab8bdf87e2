"""Where the CPU time of a training step goes: the real step under Python's profiler.

    python -m benchmarks.speed.step [--features 8192] [--width 576] [--active 64]
                                    [--batch 2048] [--threads 1] [--out FILE.json]

Least CPU time of each part over a few steps of each architecture, one hundredth of the features
dead.  A part is a function of the engine or of torch; what is in none of them is `the rest`.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import time
from pathlib import Path

import torch
from tabulate import tabulate

from benchmarks.dictionaries import ARCHITECTURES
from benchmarks.machine import machine
from benchmarks.speed.gpu.training import new_trainer

FILE = Path(__file__).parents[1] / "results" / "step.json"
STEPS = 6
PARTS = {
    "maps (what the other model predicts)": ("crosscoder.py", "inputs"),
    "encoder's product": ("crosscoder.py", "pre_activations"),
    "selection": ("kernels.py", "select"),
    "decode": ("step.py", "reconstruction_errors"),
    "gradients": ("step.py", "set_gradients"),
    "AuxK": ("step.py", "add_auxiliary"),
    "clip": ("clip_grad.py", "clip_grad_norm_"),
    "Adam": ("adam.py", "step"),
    "the whole step": ("training.py", "train_step"),
}
WHOLE = "the whole step"


def parts(architecture: str, args: argparse.Namespace) -> dict[str, float]:
    """CPU milliseconds of each part, the least of `STEPS` steps."""
    trainer = new_trainer(architecture, args, torch.device("cpu"))
    data = [torch.randn(2, args.batch, args.width) for _ in range(2)]
    least: dict[str, float] = {}
    for i in range(STEPS + 1):
        profile = cProfile.Profile(time.process_time)
        profile.runcall(trainer.train_step, *data[i % 2])
        found = {
            (Path(file).name, name): cumulative
            for (file, _, name), (*_, cumulative, _) in pstats.Stats(profile).stats.items()
        }
        if i:  # the first warms up
            for part, place in PARTS.items():
                took = 1e3 * found.get(place, 0.0)
                least[part] = min(least.get(part, took), took)
    least["the rest"] = 2 * least[WHOLE] - sum(least.values())
    return least


def main() -> None:
    parser = argparse.ArgumentParser()
    sizes = {"features": 8192, "width": 576, "active": 64, "batch": 2048, "threads": 1}
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    made = {architecture: parts(architecture, args) for architecture in ARCHITECTURES}
    order = [*(part for part in PARTS if part != WHOLE), "the rest", WHOLE]
    rows = [[part, *(made[a][part] for a in ARCHITECTURES)] for part in order]
    print(tabulate(rows, ["CPU ms", *ARCHITECTURES], tablefmt="github", floatfmt=".1f"))
    known = {k: v for k, v in vars(args).items() if isinstance(v, int)}
    found = {"machine": machine(), "sizes": known, "milliseconds": made}
    args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
