"""How a training step's time and memory grow: tokens, features, width, active features.

    python -m benchmarks.speed.growth [--plot docs/img/growth.png] [--out FILE.json]
    python -m benchmarks.speed.growth --exclusive [--out FILE.json]

From 2048 features, width 256 twice, batch 512, 32 active features a token, one of these is varied
over four sizes; least CPU time of seven steps, one thread.  --exclusive: `innovation` without
shared features, as all dictionaries of a run but the first and those of the controls are.
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

RESULTS = Path(__file__).parent / "results"
FILE, EXCLUSIVE_FILE = RESULTS / "growth.json", RESULTS / "growth-exclusive.json"
USUAL = {"tokens": 512, "features": 2048, "width": 256, "active": 32}
SIZES = {
    "tokens": (256, 512, 1024, 2048),
    "features": (1024, 2048, 4096, 8192),
    "width": (128, 256, 512, 1024),
    "active": (8, 32, 128, 256),
}


EXCLUSIVE_SIZES = {name: of for name, of in SIZES.items() if name != "active"}
"""Exclusive features have a number of active ones of their own."""


def config(*, features: int, width: int, active: int, exclusive: bool) -> CrosscoderConfig:
    """What is trained: all features exclusive, or the usual share of them."""
    if exclusive:
        return CrosscoderConfig("innovation", width, width, 0, features // 2, features // 2, active)
    return CrosscoderConfig("dfc", width, width, *partition("dfc", features), active)


def milliseconds(*, tokens: int, exclusive: bool, **sizes: int) -> float:
    """The least CPU time of a step."""
    model = Crosscoder(config(**sizes, exclusive=exclusive))
    trainer = Trainer(model, TrainingConfig(1000, tokens, 1e-3))
    trainer.step = 320
    with torch.no_grad():
        x = model.inputs(*torch.randn(2, tokens, sizes["width"]))  # made once for all dictionaries
    took = []
    for _ in range(8):
        began = time.process_time()
        trainer.step_on_inputs(x)
        took.append(time.process_time() - began)
    return min(took[1:]) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--plot", type=Path, default=None)
    parser.add_argument("--exclusive", action="store_true")
    parser.add_argument("--out", type=Path, default=None)
    args = parser.parse_args()
    torch.set_num_threads(1)
    varied, file = (EXCLUSIVE_SIZES, EXCLUSIVE_FILE) if args.exclusive else (SIZES, FILE)
    rows = [
        [what, size, milliseconds(**{**USUAL, what: size}, exclusive=args.exclusive)]
        for what, sizes in varied.items()
        for size in sizes
    ]
    print(tabulate(rows, ["varied", "size", "CPU ms a step"], tablefmt="github", floatfmt=".1f"))
    slopes = {}
    for what in varied:
        sizes, took = zip(*((size, ms) for name, size, ms in rows if name == what), strict=True)
        slopes[what] = float(np.polyfit(np.log(sizes), np.log(took), 1)[0])
    print("exponent of growth:", {what: round(slope, 2) for what, slope in slopes.items()})
    found = {"machine": machine(), "usual": USUAL, "exponents": slopes}
    found["rows"] = [dict(zip(("varied", "size", "ms"), row, strict=True)) for row in rows]
    (args.out or file).write_text(json.dumps(found, indent=1) + "\n")
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
