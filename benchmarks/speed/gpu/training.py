"""A training step on a GPU at the size of the largest published run: fills in outstanding figures.

    python -m benchmarks.speed.gpu.training [--device cuda] [--features 131072] [--width 4096]
                                            [--active 200] [--batch 4096] [--steps 48] [--out FILE]

Tokens a second of wall time with all bookkeeping on, the way of the batch to the device included,
and 1 % of the features dead, against the rate at which the same device multiplies the encoder's
product alone; peak memory; whether any step between two looks waits for the device (then it stops);
and a small training on the device against the same on the CPU.  On a CPU choose small sizes: times
are then CPU times, and say nothing of a GPU.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from benchmarks.dictionaries import ARCHITECTURES, partition
from benchmarks.machine import machine
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.dictionary.training import CHECK_INTERVAL, Trainer, TrainingConfig
from pytest_crossdiff.engine.models.devices import to_device
from pytest_crossdiff.engine.sparse.kernels import add_product

if TYPE_CHECKING:
    from collections.abc import Callable

FILE = Path(__file__).parents[1] / "results" / "device.json"
ROUNDS = 3


def new_trainer(architecture: str, args: argparse.Namespace, device: torch.device) -> Trainer:
    """Past its annealing, with one feature of a hundred dead."""
    sizes = partition(architecture, args.features)
    config = CrosscoderConfig(architecture, args.width, args.width, *sizes, args.active)
    trainer = Trainer(Crosscoder(config).to(device), TrainingConfig(10_000, args.batch, 1e-3))
    dead = max(1, args.features // 100)
    trainer.step = 200 * CHECK_INTERVAL
    trainer.loss = [0.0] * trainer.step
    trainer.idle_m[:dead] = 10**9
    with torch.no_grad():
        trainer.model.enc_bias_m[:dead] = -100.0
    return trainer


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def now(device: torch.device) -> float:
    """Wall time for a GPU; what counts on a CPU that others use is what we had of it."""
    return time.process_time() if device.type == "cpu" else time.perf_counter()


def may_wait(device: torch.device, mode: str) -> None:
    """Whether waiting for the device is an error from now on: "default" or "error"."""
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode(mode)


def seconds_a_step(trainer: Trainer, args: argparse.Namespace, device: torch.device) -> float:
    """The least mean over CHECK_INTERVAL steps, with the look that begins them."""
    data = [torch.randn(2, args.batch, args.width) for _ in range(2)]
    taken = []
    for _ in range(1 + max(1, args.steps // CHECK_INTERVAL)):  # the first warms up
        wait(device)
        began = now(device)
        for i in range(CHECK_INTERVAL):
            may_wait(device, "error" if i else "default")
            trainer.train_step(*(to_device(x, device) for x in data[i % 2]))
        may_wait(device, "default")
        trainer.read_losses()
        wait(device)
        taken.append((now(device) - began) / CHECK_INTERVAL)
    return min(taken[1:])


def product_rate(args: argparse.Namespace, device: torch.device) -> float:
    """TFLOP a second of the encoder's product for one model, as a step multiplies it."""
    out = torch.zeros(args.features, args.batch, device=device)
    rows = torch.randn(args.features, args.width, device=device)
    x = torch.randn(args.batch, args.width, device=device)
    best = least_seconds(lambda: add_product(out, rows, x), device)
    return float(2 * args.features * args.width * args.batch / best / 1e12)


def least_seconds(run: Callable[[], object], device: torch.device) -> float:
    """Of a few runs on the device."""
    best = float("inf")
    for _ in range(2 * ROUNDS):
        wait(device)
        began = now(device)
        run()
        wait(device)
        best = min(best, now(device) - began)
    return best


def arguments(file: Path, **sizes: int) -> argparse.ArgumentParser:
    """The device, sizes with their defaults, and where the results are written."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--out", type=Path, default=file)
    return parser


def machine_with(device: torch.device) -> dict[str, object]:
    """What the times depend on, the device's name included."""
    on_gpu = device.type == "cuda"
    return machine() | {"device": torch.cuda.get_device_name(device) if on_gpu else "CPU"}


def trained_loss(device: torch.device) -> float:
    """The loss after a small training, the same on every device but for rounding."""
    torch.manual_seed(0)
    model = Crosscoder(CrosscoderConfig("innovation", 64, 48, 200, 28, 28, 8)).to(device)
    trainer = Trainer(model, TrainingConfig(200, 256, 3e-3))
    concepts = torch.randn(120, 112)
    for _ in range(200):
        x = ((torch.rand(256, 120) < 0.05) * torch.rand(256, 120)) @ concepts
        trainer.train_step(x[:, :64].to(device), x[:, 64:].to(device))
    trainer.read_losses()
    return sum(trainer.loss[-20:]) / 20


def main() -> None:
    sizes = {"features": 131_072, "width": 4096, "active": 200, "batch": 4096, "steps": 48}
    args = arguments(FILE, **sizes).parse_args()
    device = torch.device(args.device)
    there, here = trained_loss(device), trained_loss(torch.device("cpu"))
    rate = product_rate(args, device)
    rows = []
    for architecture in ARCHITECTURES:
        took = seconds_a_step(new_trainer(architecture, args, device), args, device)
        sparse = 4 * 2 * args.batch * args.active * 2 * args.width
        bound = (2 * args.batch * 2 * args.width * args.features + sparse) / 1e12 / rate
        rows.append(
            {
                "architecture": architecture,
                "ms a step": round(took * 1e3, 1),
                "tokens a second": round(args.batch / took),
                "x bound": round(took / bound, 2),
            }
        )
        print(rows[-1], flush=True)
    found = {
        "machine": machine_with(device),
        "triton": importlib.util.find_spec("triton") is not None,
        "sizes": {k: v for k, v in vars(args).items() if isinstance(v, int)},
        "encoder_tflop_a_second": round(rate, 3),
        "steps": rows,
        "peak_gb": round(
            torch.cuda.max_memory_allocated(device) / 1e9
            if device.type == "cuda"
            else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            2,
        ),
        "loss_on_the_device": round(there, 5),
        "loss_on_the_cpu": round(here, 5),
    }
    print(json.dumps(found, indent=1))
    args.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
