"""Memory and time of the verification against the number of tokens.

    python -m benchmarks.speed.verification [--out FILE.json]

One dictionary on the toy world, whose 20,000 tokens come again and again until there are enough;
each size in a process of its own, so that its peak memory is its own.
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

import numpy as np
import torch
from tabulate import tabulate

from benchmarks.machine import machine
from benchmarks.toy.methods import CPU, SETTINGS, Method, trained
from benchmarks.toy.world import BASE, make
from pytest_crossdiff.engine.verification.verify import verify
from pytest_crossdiff.progress import SilentProgress

FILE = Path(__file__).parent / "results" / "verification.json"
METHOD = Method("innovation", "mlp", features=512, steps=200, share=0.2, k_own=0.5)
SIZES = (50_000, 100_000, 200_000, 400_000)
DOCUMENT = 100
"""Tokens of a document."""


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(tokens: int) -> None:
    """Verify with so many tokens and print what it took."""
    torch.set_num_threads(1)
    pairs = make(dataclasses.replace(BASE, tokens=20_000, documents=200)).pairs
    model = trained(pairs, METHOD, 0)
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
        verify([model], [0], pairs, SETTINGS, CPU, bar)
    took = time.process_time() - began
    found = {"tokens": tokens, "cpu_s": took, "before_mb": before, "peak_mb": peak_mb()}
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--child", type=int)
    args = parser.parse_args()
    if args.child:
        child(args.child)
        return
    command = [sys.executable, "-m", "benchmarks.speed.verification", "--child"]
    rows = [
        json.loads(subprocess.run([*command, str(size)], capture_output=True, check=True).stdout)
        for size in SIZES
    ]
    print(tabulate(rows, "keys", tablefmt="github", floatfmt=("", ".1f", ".0f", ".0f")))
    args.out.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
