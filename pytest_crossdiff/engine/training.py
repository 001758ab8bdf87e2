"""Train a crosscoder on aligned pairs: deterministic, resumable to the same bits.

Axes as in `crosscoder.py`.  Source: METHOD 2.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pytest_crossdiff.engine.artefacts import CHECKPOINT
from pytest_crossdiff.engine.crosscoder import Outputs
from pytest_crossdiff.errors import ActivationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations import Pairs
    from pytest_crossdiff.engine.crosscoder import Crosscoder, Inputs
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.store.cache import Entry

AUX_WEIGHT = 1 / 32
WARM_UP, ANNEAL, COOL_DOWN = 0.05, 0.2, 0.2
"""Shares of the steps: learning rate rising, k falling from 4 k to k, learning rate falling."""
DEAD_TOKENS = 65_536
"""A feature that hasn't fired on this many tokens drawn is dead."""
GUESS = 0.9
"""Share of the last batch's cut that this batch's is guessed to exceed."""
WINDOW = 1 << 20
"""Pairs that are shuffled together; bounds how far apart on disk a batch's rows lie."""
CHECKPOINT_SECONDS = 15.0
"""An interrupt can strike within a step, so it saves nothing: this much is lost at most."""


@dataclass(frozen=True)
class TrainingConfig:
    """How to train: `steps` batches of `batch_size` pairs with Adam at `learning_rate`."""

    steps: int
    batch_size: int
    learning_rate: float


class Trainer:
    """One crosscoder being trained; everything that a checkpoint must hold lives here."""

    def __init__(self, model: Crosscoder, config: TrainingConfig) -> None:
        self.model, self.config = model, config
        self.parameters = dict(model.named_parameters())
        self.optimiser = torch.optim.Adam(
            list(self.parameters.values()), lr=config.learning_rate, fused=True
        )
        self.step = 0
        self.loss: list[float] = []
        self._guess: Tensor | None = None
        self.idle_m = torch.zeros(model.config.features, dtype=torch.long)
        """Steps since each feature last fired."""

    def train_step(self, x_ta: Tensor, x_tb: Tensor) -> float:
        """One step on normalised activations; returns the loss without the auxiliary term."""
        model, done = self.model, self.step / self.config.steps
        x = model.inputs(x_ta, x_tb)
        errors, on, cuts = model.learn(x, _anneal(done), self._guess)
        self._guess = GUESS * cuts
        size = x_ta.shape[0] * (x_ta.shape[1] + x_tb.shape[1])
        loss = errors.squared().sum() / size
        auxiliary = self._auxiliary(x, errors, size)
        (loss + AUX_WEIGHT * auxiliary).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * _rate(done)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            self.idle_m += 1
            fired = torch.bincount(on.feature, minlength=model.config.features) > 0
            self.idle_m[fired.cpu()] = 0
            if done >= ANNEAL:  # the threshold of inference: a running mean of the batch's cut
                first = not bool(model.threshold.any())
                model.threshold.copy_(cuts if first else 0.99 * model.threshold + 0.01 * cuts)
        self.step += 1
        return float(loss.detach())

    def _auxiliary(self, x: Inputs, errors: Outputs, size: int) -> Tensor:
        """What the dead features leave of what the living ones leave; 0 where none is dead."""
        dead = (self.idle_m * len(x.a_ta) >= DEAD_TOKENS).nonzero().flatten().to(x.a_ta.device)
        if not len(dead):
            return x.a_ta.new_zeros(())
        left = Outputs(*(e if e is None else e.detach() for e in errors))  # type: ignore[arg-type]
        k = max(1, self.model.config.width_a // 2)
        return self.model.fill_in(x, left, dead, k).squared().sum() / size

    @property
    def dead(self) -> int:
        """How many features have stopped firing."""
        return int((self.idle_m * self.config.batch_size >= DEAD_TOKENS).sum())

    def save(self, path: Path) -> None:
        """Everything: weights, buffers, optimiser, counters, loss curve."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for name, parameter in self.parameters.items():
            for key, value in self.optimiser.state[parameter].items():
                tensors[f"adam.{key}.{name}"] = value
        tensors["idle"] = self.idle_m
        tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
        state = {"step": self.step, "loss": self.loss}
        save_file(tensors, path, metadata={"trainer": json.dumps(state)})

    def load(self, path: Path) -> None:
        """Go on where `save` was called."""
        with safe_open(path, "pt") as file:
            state = json.loads(file.metadata()["trainer"])
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        prefix = "model."
        self.model.load_state_dict(
            {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        )
        for name, parameter in self.parameters.items():
            self.optimiser.state[parameter] = {
                key: tensors[f"adam.{key}.{name}"].to(
                    "cpu" if key == "step" and parameter.device.type == "cpu" else parameter.device
                )
                for key in ("step", "exp_avg", "exp_avg_sq")
            }
        self.idle_m = tensors["idle"]
        self.step, self.loss = state["step"], state["loss"]


def _anneal(done: float) -> float:
    """Factor on k: from 4 down to 1 over the first ANNEAL of the steps."""
    return 1.0 + 3.0 * max(0.0, 1.0 - done / ANNEAL)


def _rate(done: float) -> float:
    """Factor on the learning rate: up, flat, down."""
    return max(0.01, min(1.0, (done + 1e-3) / WARM_UP, (1.0 - done) / COOL_DOWN))


def batches(
    rows: NDArray[np.int64], config: TrainingConfig, start: int
) -> Iterator[NDArray[np.int64]]:
    """Batches of `rows` from step `start` on: every epoch in an order of its own, drawn from the
    epoch alone, so that a resumed run, and every dictionary of a run, sees the same batches.
    """
    size = min(config.batch_size, len(rows))
    per_epoch = len(rows) // size
    for step in range(start, config.steps):
        epoch, position = divmod(step, per_epoch)
        if position == 0 or step == start:
            random = np.random.default_rng(epoch)
            windows = [rows[i : i + WINDOW] for i in range(0, len(rows), WINDOW)]
            order = np.concatenate(
                [random.permutation(windows[i]) for i in random.permutation(len(windows))]
            )
        yield np.sort(order[position * size : (position + 1) * size])


def train(
    trainers: Sequence[Trainer],
    pairs: Pairs,
    entries: Sequence[Entry],
    device: torch.device,
    progress: Progress,
) -> None:
    """Train crosscoders of one configuration in one pass over the data, each on its own entry and
    going on from the checkpoint there; each ends as if it had been trained alone.

    Raises `ActivationError` when a loss stops being a number.
    """
    for trainer, entry in zip(trainers, entries, strict=True):
        if entry.has(CHECKPOINT):
            trainer.load(entry.path / CHECKPOINT)
    saved = time.monotonic()
    config, first = trainers[0].config, min(trainer.step for trainer in trainers)
    with progress.phase("train crosscoder", config.steps, "step") as bar:
        bar.advance(first)
        for step, chosen in enumerate(batches(pairs.training(), config, first), first):
            x_ta, x_tb = (x.to(device) for x in pairs.batch(chosen))
            for trainer in trainers:
                if trainer.step == step:
                    _step(trainer, x_ta, x_tb)
            bar.advance(1, f"loss {trainers[0].loss[-1]:.3f}")
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                for trainer, entry in zip(trainers, entries, strict=True):
                    with entry.writing(CHECKPOINT) as temporary:
                        trainer.save(temporary)
                saved = time.monotonic()


def _step(trainer: Trainer, x_ta: Tensor, x_tb: Tensor) -> None:
    loss = trainer.train_step(x_ta, x_tb)
    if not np.isfinite(loss):
        raise ActivationError(
            f"training diverged at step {trainer.step}: the loss is {loss}",
            source=f"crossdiff_learning_rate = {trainer.config.learning_rate}",
            remedy="set a smaller crossdiff_learning_rate",
        )
    trainer.loss.append(round(loss, 6))
