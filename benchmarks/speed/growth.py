"""How a training step's time and memory grow: tokens, features, width, active features.

    python -m benchmarks.speed.growth [--plot docs/img/growth.png] [--out FILE.json]

From 2048 features, width 256 twice, batch 512, 32 active features a token, one of these is varied
over four sizes; least CPU time of seven steps, one thread.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate

from benchmarks.dictionaries import partition
from benchmarks.documents import pyplot
from benchmarks.machine import machine
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.dictionary.training import Trainer, TrainingConfig

FILE = Path(__file__).parent / "results" / "growth.json"
USUAL = {"tokens": 512, "features": 2048, "width": 256, "active": 32}
SIZES = {
    "tokens": (256, 512, 1024, 2048),
    "features": (1024, 2048, 4096, 8192),
    "width": (128, 256, 512, 1024),
    "active": (8, 32, 128, 256),
}


def milliseconds(*, tokens: int, features: int, width: int, active: int) -> float:
    """The least CPU time of a step."""
    sizes = CrosscoderConfig("dfc", width, width, *partition("dfc", features), active)
    trainer = Trainer(Crosscoder(sizes), TrainingConfig(1000, tokens, 1e-3))
    trainer.step = 320
    x = torch.randn(2, tokens, width)
    took = []
    for _ in range(8):
        began = time.process_time()
        trainer.train_step(*x)
        took.append(time.process_time() - began)
    return min(took[1:]) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--plot", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=FILE)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = [
        [what, size, milliseconds(**{**USUAL, what: size})]
        for what, sizes in SIZES.items()
        for size in sizes
    ]
    print(tabulate(rows, ["varied", "size", "CPU ms a step"], tablefmt="github", floatfmt=".1f"))
    slopes = {}
    for what in SIZES:
        sizes, took = zip(*((size, ms) for name, size, ms in rows if name == what), strict=True)
        slopes[what] = float(np.polyfit(np.log(sizes), np.log(took), 1)[0])
    print("exponent of growth:", {what: round(slope, 2) for what, slope in slopes.items()})
    found = {"machine": machine(), "usual": USUAL, "exponents": slopes}
    found["rows"] = [dict(zip(("varied", "size", "ms"), row, strict=True)) for row in rows]
    args.out.write_text(json.dumps(found, indent=1) + "\n")
    if args.plot:
        plot(rows, args.plot)


def plot(rows: list[list[object]], path: Path) -> None:
    """One panel for each thing varied, both axes logarithmic."""
    figure, axes = pyplot().subplots(1, 4, figsize=(11, 2.8), sharey=True, layout="constrained")
    for axis, what in zip(axes, SIZES, strict=True):
        sizes, took = zip(*((size, ms) for name, size, ms in rows if name == what), strict=True)
        axis.loglog(sizes, took, "o-", color="#0072b2")
        line = np.array(sizes) / sizes[-1] * took[-1]
        axis.loglog(sizes, line, ":", color="#777777", label="linear")
        axis.set_xlabel(what)
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
    axes[0].set_ylabel("CPU ms a step")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
