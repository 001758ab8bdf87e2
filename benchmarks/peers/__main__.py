"""A training step of this package and of other trainers of sparse dictionaries, in one run.

    python -m benchmarks.peers [--rounds 5] [--python INTERPRETER] [--out FILE.json]

The same for all: 8192 features, two models of width 576 (side by side, 1152 wide, where a trainer
takes one), a batch of 2048, 64 active features a token; each with all that it does in a step.
Every round takes one step of each trainer and one product of two 2000 x 2000 matrices in turn,
since other programs may use the machine meanwhile; what counts is the least CPU time.  Each trainer
runs in a process of its own, with one thread where nothing else is said, so that peak memory is its
own.

INTERPRETER is that of an environment with the peers, from the package index; what can't be imported
there is left out and said: sae-lens, eai-sparsify, dictionary-learning, modeldiffr.
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
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.machine import machine
from benchmarks.peers import FILE
from benchmarks.peers.trainers import BATCH, BOUND, TRAINERS, WIDTH

if TYPE_CHECKING:
    from typing import TextIO


def child(name: str) -> None:
    """Take a step for every line that comes in; write its CPU and wall seconds and peak memory."""
    torch.set_num_threads(2 if name.endswith("2 threads") else 1)
    torch.manual_seed(0)
    said, sys.stdout = sys.stdout, sys.stderr  # what a peer prints is none of the answer
    step = TRAINERS[name]()
    batches = [torch.randn(2, BATCH, WIDTH) for _ in range(2)]
    for i, _ in enumerate(sys.stdin):
        cpu, wall = time.process_time(), time.perf_counter()
        step(*batches[i % 2])
        took = time.process_time() - cpu, time.perf_counter() - wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps([*took, peak]), file=said, flush=True)


def product_seconds() -> float:
    """CPU seconds of a 16 GFLOP product."""
    a = torch.ones(2000, 2000)
    began = time.process_time()
    a @ a
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--out", type=Path, default=FILE)
    parser.add_argument("--child")
    args = parser.parse_args()
    if args.child:
        child(args.child)
        return
    torch.set_num_threads(1)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [args.python, "-m", "benchmarks.peers", "--child"]
    said = {name: tempfile.TemporaryFile("w+") for name in TRAINERS}  # noqa: SIM115  until the end
    running = {
        name: subprocess.Popen(
            [*command, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said[name],
            text=True,
            env=environment,
        )
        for name in TRAINERS
    }
    found: dict[str, list[list[float]]] = {name: [] for name in TRAINERS}
    product = [product_seconds()]
    for _ in range(args.rounds + 1):  # the first is a warm-up
        product.append(product_seconds())
        for name, process in list(running.items()):
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write("step\n")
                process.stdin.flush()
                found[name].append(json.loads(process.stdout.readline()))
            except (BrokenPipeError, json.JSONDecodeError):
                process.wait()
                print(f"{name}: could not be run: {cause(said[name])}", file=sys.stderr)
                del running[name], found[name]
    for process in running.values():
        process.communicate()
    rate = 16 / min(product)
    rows = []
    for name, steps in found.items():
        cpu, wall, _ = (min(column) for column in zip(*steps[1:], strict=True))
        rows.append([name, cpu * 1e3, wall * 1e3, cpu * rate / BOUND, steps[-1][2]])
    rows.sort(key=lambda row: row[1])
    from tabulate import tabulate  # not in the peers' environment

    head = ["trainer", "CPU ms a step", "wall ms", "x bound", "peak GB"]
    print(f"bound {BOUND:.1f} GFLOP; products {rate:.0f} GFLOP a CPU second; {machine()}")
    print(tabulate(rows, head, tablefmt="github", floatfmt=("", ".0f", ".0f", ".2f", ".2f")))
    result = {"machine": machine(), "gflop_a_second": rate, "bound_gflop": BOUND}
    result["rows"] = [dict(zip(head, row, strict=True)) for row in rows]
    keep(result, args.out)


def cause(said: TextIO) -> str:
    """The last line of what a process wrote to its standard error: as a rule the exception."""
    said.seek(0)
    lines = [line.strip() for line in said if line.strip()]
    return lines[-1] if lines else "it ended without a word"


def keep(result: dict[str, Any], path: Path) -> None:
    """Write the result, unless a trainer is missing that the file has: then say so and exit."""
    known = json.loads(path.read_text())["rows"] if path.exists() else []
    lost = {row["trainer"] for row in known} - {row["trainer"] for row in result["rows"]}
    if lost or not result["rows"]:
        sys.exit(
            f"{path} is left as it is, since it has what could not be run now: "
            f"{', '.join(sorted(lost)) or 'nothing could'}; write elsewhere with --out FILE.json"
        )
    path.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
