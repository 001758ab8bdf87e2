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
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tabulate import tabulate

if TYPE_CHECKING:
    from collections.abc import Callable

    Step = Callable[[torch.Tensor, torch.Tensor], object]

FEATURES, WIDTH, BATCH, K = 8192, 576, 2048, 64
BOUND = (2 * BATCH * 2 * WIDTH * FEATURES + 4 * 2 * BATCH * K * 2 * WIDTH) / 1e9
"""GFLOP of a step with nothing dense but the encoder's product."""


def ours(architecture: str = "dfc", dead: int = 0) -> Step:
    """This package's trainer, past its annealing, with so many dead features."""
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
    from pytest_crossdiff.engine.dictionary.training import Trainer, TrainingConfig

    own = 0 if architecture == "standard" else round(FEATURES * 0.05)
    sizes = CrosscoderConfig(architecture, WIDTH, WIDTH, FEATURES - 2 * own, own, own, K)
    trainer = Trainer(Crosscoder(sizes), TrainingConfig(1000, BATCH, 1e-3))
    trainer.step = 320
    with torch.no_grad():
        trainer.model.enc_bias_m[:dead] = -100.0
    trainer.idle_m[:dead] = 10**6

    def step(x_ta: torch.Tensor, x_tb: torch.Tensor) -> None:
        trainer.train_step(x_ta, x_tb)
        trainer.read_losses()

    trainer.loss = [0.0] * trainer.step
    return step


def sae_lens() -> Step:
    from sae_lens.config import SAETrainerConfig
    from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.training.sae_trainer import SAETrainer

    sae = BatchTopKTrainingSAE(
        BatchTopKTrainingSAEConfig(d_in=2 * WIDTH, d_sae=FEATURES, k=K, device="cpu")
    )
    trainer = SAETrainer(SAETrainerConfig(10**9, BATCH, lr_end=3e-5), sae, iter(()))
    return lambda a, b: trainer._train_step(sae, torch.cat([a, b], 1))


def dictionary_learning() -> Step:
    from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer

    trainer = BatchTopKTrainer(
        10_000, 2 * WIDTH, FEATURES, K, 0, "none", lr=1e-3, warmup_steps=10, device="cpu"
    )
    return lambda a, b: trainer.update(5_000, torch.cat([a, b], 1))


def eai_sparsify() -> Step:
    from sparsify import SparseCoder, SparseCoderConfig

    sae = SparseCoder(2 * WIDTH, SparseCoderConfig(num_latents=FEATURES, k=K))
    adam = torch.optim.Adam(sae.parameters(), lr=1e-3)
    since = torch.zeros(FEATURES, dtype=torch.long)

    def step(a: torch.Tensor, b: torch.Tensor) -> None:  # the body of its trainer's loop
        out = sae(torch.cat([a, b], 1), dead_mask=since > 10_000_000)
        (out.fvu + out.auxk_loss / 32).backward()
        torch.nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
        sae.remove_gradient_parallel_to_decoder_directions()
        adam.step()
        adam.zero_grad()
        sae.set_decoder_norm_to_unit_norm()
        since.add_(BATCH)
        since[out.latent_indices.flatten()] = 0

    return step


def modeldiffr() -> Step:
    from modeldiffr.interp.crosscoder import CrosscoderConfig, build

    model = build(WIDTH, CrosscoderConfig(dict_size=FEATURES, k=K))
    adam = torch.optim.Adam(model.parameters(), lr=5e-4)
    fired = torch.zeros(FEATURES, dtype=torch.bool)

    def step(a: torch.Tensor, b: torch.Tensor) -> None:  # the body of its `train`; it has no AuxK
        f, least = model.encode(a, b, train=True)
        made_a, made_b = model.decode(f)
        loss = ((a - made_a).pow(2).sum(-1) + (b - made_b).pow(2).sum(-1)).mean()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        fired.logical_or_((f > 0).any(0))
        float(least.detach())
        float(loss.detach())

    return step


TRAINERS: dict[str, Callable[[], Step]] = {
    "pytest-crossdiff dfc": ours,
    "pytest-crossdiff dfc, 1 % dead": lambda: ours(dead=82),
    "pytest-crossdiff standard": lambda: ours("standard"),
    "pytest-crossdiff innovation": lambda: ours("innovation"),
    "pytest-crossdiff innovation, 1 % dead": lambda: ours("innovation", dead=82),
    "pytest-crossdiff innovation, 2 threads": lambda: ours("innovation"),
    "sae-lens BatchTopK": sae_lens,
    "dictionary-learning BatchTopK": dictionary_learning,
    "modeldiffr crosscoder BatchTopK": modeldiffr,
    "eai-sparsify TopK a token": eai_sparsify,
}


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


def machine() -> dict[str, object]:
    """What a figure depends on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    wide = torch.backends.cpu.get_cpu_capability()
    return {
        "processor": f"{name}, {os.cpu_count()} cores, {wide}",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load": os.getloadavg(),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/peers.json"))
    parser.add_argument("--child")
    args = parser.parse_args()
    if args.child:
        child(args.child)
        return
    torch.set_num_threads(1)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [args.python, "-m", "benchmarks.peers", "--child"]
    running = {
        name: subprocess.Popen(
            [*command, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
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
                print(f"{name}: could not be run", file=sys.stderr)
                del running[name], found[name]
    for process in running.values():
        process.communicate()
    rate = 16 / min(product)
    rows = []
    for name, steps in found.items():
        cpu, wall, _ = (min(column) for column in zip(*steps[1:], strict=True))
        rows.append([name, cpu * 1e3, wall * 1e3, cpu * rate / BOUND, steps[-1][2]])
    rows.sort(key=lambda row: row[1])
    head = ["trainer", "CPU ms a step", "wall ms", "x bound", "peak GB"]
    print(f"bound {BOUND:.1f} GFLOP; products {rate:.0f} GFLOP a CPU second; {machine()}")
    print(tabulate(rows, head, tablefmt="github", floatfmt=("", ".0f", ".0f", ".2f", ".2f")))
    result = {"machine": machine(), "gflop_a_second": rate, "bound_gflop": BOUND}
    result["rows"] = [dict(zip(head, row, strict=True)) for row in rows]
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
