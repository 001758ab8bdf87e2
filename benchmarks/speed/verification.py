"""Memory and time of the verification against the number of tokens.

    python -m benchmarks.speed.verification [--out FILE.json]
    python -m benchmarks.speed.verification --varied [--out FILE.json]

One dictionary on the toy world, whose 20,000 tokens come again and again until there are enough;
each size in a process of its own, so that its peak memory is its own.  --varied: from 25,000
tokens, width 64 twice, 512 features and a dictionary, one or two of these are varied.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tabulate import tabulate

from benchmarks.machine import machine
from benchmarks.toy.methods import CPU, SETTINGS, Method, trained
from benchmarks.toy.world import BASE, make
from pytest_crossdiff.engine.verification.verify import verify
from pytest_crossdiff.progress import SilentProgress

RESULTS = Path(__file__).parent / "results"
FILE, VARIED_FILE = RESULTS / "verification.json", RESULTS / "verification-varied.json"
METHOD = Method("innovation", "mlp", features=512, steps=200, share=0.2, k_own=0.5)
SIZES = (50_000, 100_000, 200_000, 400_000)
USUAL = {"tokens": 25_000, "width": 64, "features": 512, "dictionaries": 1}
VARIED: list[dict[str, int]] = [
    *({"tokens": size} for size in (25_000, 100_000, 400_000)),
    *({"width": size} for size in (128, 256, 512, 1024)),
    {"width": 512, "tokens": 100_000},
    *({"features": size} for size in (1024, 2048, 4096)),
    *({"dictionaries": size} for size in (2, 4)),
]
DOCUMENT = 100
"""Tokens of a document."""


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(*, tokens: int, width: int, features: int, dictionaries: int) -> None:
    """Verify with so many tokens and print what it took."""
    torch.set_num_threads(1)
    world = dataclasses.replace(BASE, tokens=20_000, documents=200, width_a=width, width_b=width)
    pairs = make(world).pairs
    method = dataclasses.replace(METHOD, features=features)
    models = [trained(pairs, method, seed) for seed in range(dictionaries)]
    rows_n = np.arange(tokens) % len(pairs.group_n)
    group_n = (np.arange(tokens) // DOCUMENT).astype(np.int32)
    pairs = pairs._replace(
        a=pairs.a._replace(rows_n=rows_n),
        b=pairs.b._replace(rows_n=rows_n),
        group_n=group_n,
        heldout_n=group_n % 10 < 3,
    )
    before, began = peak_mb(), time.process_time()
    with SilentProgress().phase("verify features", 1, "token") as bar:
        found = verify(models, range(dictionaries), pairs, SETTINGS, CPU, bar)
    took = time.process_time() - began
    sizes = {"tokens": tokens, "width": width, "features": features, "dictionaries": dictionaries}
    pairs_of = {"training": len(pairs.training()), "heldout": len(pairs.heldout())}
    tested = sum(len(of.features) for of in found)
    used = {"cpu_s": took, "before_mb": before, "peak_mb": peak_mb()}
    print(json.dumps({**sizes, **pairs_of, "tested": tested, **used}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--varied", action="store_true")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--child", type=json.loads)
    args = parser.parse_args()
    if args.child:
        child(**args.child)
        return
    varied, file = VARIED, VARIED_FILE
    if not args.varied:
        varied, file = [{"tokens": size} for size in SIZES], FILE
    rows = [_measured(**USUAL | sizes) for sizes in varied]
    print(tabulate(rows, "keys", tablefmt="github", floatfmt=".1f"))
    found = {"machine": machine(), "rows": rows}
    (args.out or file).write_text(json.dumps(found, indent=1) + "\n")


def _measured(**sizes: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.speed.verification", "--child", json.dumps(sizes)]
    found: dict[str, Any] = json.loads(
        subprocess.run(command, capture_output=True, check=True).stdout
    )
    return found


if __name__ == "__main__":
    main()
