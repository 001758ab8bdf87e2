"""Train a crosscoder on aligned pairs: deterministic, resumable to the same bits.

Axes as in `crosscoder.py`.  Source: METHOD 2.
"""

from __future__ import annotations

import functools
import json
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from pytest_crossdiff.engine.dictionary.side_by_side import side_by_side
from pytest_crossdiff.engine.dictionary.step import (
    add_auxiliary,
    dead_features,
    reconstruction_errors,
    set_gradients,
    squared_error,
)
from pytest_crossdiff.engine.dictionary.trained import CHECKPOINT
from pytest_crossdiff.engine.dictionary.training_inputs import TrainingInputs
from pytest_crossdiff.engine.phases import TRAIN
from pytest_crossdiff.engine.sparse.kernels import select
from pytest_crossdiff.errors import ActivationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, Inputs
    from pytest_crossdiff.engine.dictionary.step import DeadFeatures
    from pytest_crossdiff.engine.sparse.kernels import ActiveFeatures
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.store.cache import Entry

WARM_UP, ANNEAL, COOL_DOWN = 0.05, 0.2, 0.2
"""Shares of the steps: learning rate rising, k falling from 4 k to k, learning rate falling."""
DEAD_TOKENS = 65_536
"""A feature that hasn't fired on this many tokens drawn is dead."""
CHECK_INTERVAL = 16
"""Steps between two looks at losses and dead features; each look waits for the device."""
WINDOW = 1 << 20
"""Pairs that are shuffled together; bounds the distance on disk between a batch's rows."""
MAX_NORM = 1.0
"""Of the gradients of a step, which are scaled down to it."""
_MEANS = "exp_avg", "exp_avg_sq"
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
        """Of each step, without the auxiliary term, as far as `read_losses` has read them."""
        self._unread: list[Tensor] = []
        device = model.enc_bias_m.device
        self.idle_m = torch.zeros(model.config.features, dtype=torch.long, device=device)
        """Steps since each feature last fired."""
        self._dead: DeadFeatures | None = None
        self.thresholds: Tensor | None = None
        self._pre_mt = torch.empty(model.config.features, 0, device=device)

    def train_step(self, x_ta: Tensor, x_tb: Tensor) -> None:
        """One step on normalised activations; `read_losses` tells its loss."""
        with torch.no_grad():
            self.step_on_inputs(self.model.inputs(x_ta, x_tb))

    @torch.no_grad()
    def step_on_inputs(self, x: Inputs) -> None:
        """The same on what the model reads."""
        model, tokens, size = self.model, len(x.a_ta), x.a_ta.numel() + x.b_tb.numel()
        pre_mt = self.pre_activations(x)
        norm_m, counts = model.decoder_norms(), self.counts(tokens)
        active, thresholds = select(pre_mt, norm_m, counts, self.thresholds)
        errors = reconstruction_errors(model, x, active)
        set_gradients(model, x, errors, active, size)
        dead = self.look_for_dead(tokens)
        if dead is not None:
            add_auxiliary(model, x, errors, pre_mt, dead, size)
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), MAX_NORM)
        self.apply(active, thresholds, squared_error(errors) / size)

    def pre_activations(self, x: Inputs) -> Tensor:
        """Those of the model, shape (m, t), in memory that the next step uses again."""
        if self._pre_mt.shape[1] != len(x.a_ta):
            self._pre_mt = self._pre_mt.new_empty(len(self._pre_mt), len(x.a_ta))
        return self.model.pre_activations(x, self._pre_mt)

    def counts(self, tokens: int) -> list[tuple[slice, int]]:
        """How many pairs of a batch are active at this step, in each group of features."""
        factor = _anneal(self.step / self.config.steps)
        return [(group, int(k * factor * tokens)) for group, k in self.model.config.budgets]

    def look_for_dead(self, tokens: int) -> DeadFeatures | None:
        """The dead features as of the last look, which is now every CHECK_INTERVAL steps."""
        if self.step % CHECK_INTERVAL == 0:
            self._dead = dead_features(self.model, self.idle_m * tokens >= DEAD_TOKENS)
        return self._dead

    def apply(self, active: ActiveFeatures, thresholds: Tensor, loss: Tensor) -> None:
        """Let the gradients change the model, and count the step.  thresholds: the least kept score
        of each group of features.
        """
        model, done = self.model, self.step / self.config.steps
        for group in self.optimiser.param_groups:
            group["lr"] = self.config.learning_rate * _rate(done)
        self.optimiser.step()
        self.idle_m += 1
        self.idle_m *= active.firing_counts() == 0
        if done >= ANNEAL:  # the threshold of inference: a running mean of the batch's cut
            mean = torch.where(
                model.threshold.any(), 0.99 * model.threshold + 0.01 * thresholds, thresholds
            )
            model.threshold.copy_(mean)
        self.thresholds = thresholds
        self.step += 1
        self._unread.append(loss)

    def read_losses(self) -> None:
        """Bring `loss` up to the present step.

        Raises `ActivationError` where one is not a number.
        """
        losses = torch.stack(self._unread).tolist() if self._unread else []
        self._unread.clear()
        for step, loss in enumerate(losses, len(self.loss) + 1):
            if not math.isfinite(loss):
                raise ActivationError(
                    f"training diverged at step {step}: the loss is {loss}",
                    source=f"crossdiff_learning_rate = {self.config.learning_rate}",
                    remedy="set a smaller crossdiff_learning_rate",
                )
            self.loss.append(round(loss, 6))

    @property
    def product(self) -> int:
        """Multiplications of the largest product of a step, the encoder's."""
        config = self.model.config
        return self.config.batch_size * config.features * (config.width_a + config.width_b)

    @property
    def dead(self) -> int:
        """How many features have stopped firing."""
        return int((self.idle_m * self.config.batch_size >= DEAD_TOKENS).sum())

    def save(self, path: Path) -> None:
        """Everything: weights, buffers, optimiser, counters, loss curve."""
        tensors = self.state()
        if self._dead is not None:
            tensors["dead"] = self._dead.indices
        tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
        state = {"step": self.step, "loss": self.loss}
        save_file(tensors, path, metadata={"trainer": json.dumps(state)})

    def load(self, path: Path) -> None:
        """Go on where `save` was called."""
        with safe_open(path, "pt") as file:
            state = json.loads(file.metadata()["trainer"])
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
        self.restore(tensors, state["step"], state["loss"])
        if "dead" in tensors:
            dead_m = torch.zeros_like(self.idle_m, dtype=torch.bool)
            dead_m[tensors["dead"].to(dead_m.device)] = True
            self._dead = dead_features(self.model, dead_m)

    def state(self) -> dict[str, Tensor]:
        """Weights, buffers, optimiser and counters, but for the steps that were made."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        for name, parameter in self.parameters.items():
            for key in _MEANS:
                mean = self.optimiser.state.get(parameter, {}).get(key)
                tensors[f"adam.{key}.{name}"] = (
                    torch.zeros_like(parameter) if mean is None else mean
                )
        return {**tensors, "idle": self.idle_m}

    def restore(self, tensors: Mapping[str, Tensor], step: int, loss: list[float]) -> None:
        """Be as a trainer was that gave this `state` after so many steps."""
        prefix = "model."
        self.model.load_state_dict(
            {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        )
        for name, parameter in self.parameters.items():
            steps = torch.tensor(float(step), device=parameter.device)
            means = {key: tensors[f"adam.{key}.{name}"].to(parameter.device) for key in _MEANS}
            self.optimiser.state[parameter] = {"step": steps, **means}
        self.idle_m = tensors["idle"].to(self.idle_m.device)
        self.step, self.loss = step, loss


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
    label: str = TRAIN,
) -> None:
    """Train crosscoders of one configuration, which differ in their seeds alone, in one pass over
    the data, each on its own entry and going on from the checkpoint there; each ends as if it had
    been trained alone; on a CPU they are trained side by side.  label: what the phase is called.

    Raises `ActivationError` when a loss stops being a number.
    """
    for trainer, entry in zip(trainers, entries, strict=True):
        if entry.has(CHECKPOINT):
            trainer.load(entry.path / CHECKPOINT)
    saved = time.monotonic()
    config, first = trainers[0].config, min(trainer.step for trainer in trainers)
    training_inputs = TrainingInputs(trainers[0].model, pairs, device)
    with (
        progress.phase(label, config.steps, "step") as bar,
        side_by_side(len(trainers), device, max(t.product for t in trainers)) as run,
    ):
        bar.advance(first)
        for step, chosen in enumerate(batches(pairs.training(), config, first), first):
            x = training_inputs(chosen)
            run(functools.partial(t.step_on_inputs, x) for t in trainers if t.step == step)
            for trainer in trainers:
                if (step + 1) % CHECK_INTERVAL == 0 or step + 1 == config.steps:
                    trainer.read_losses()
            bar.advance(1, *(f"loss {loss:.3f}" for loss in trainers[0].loss[-1:]))
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                for trainer, entry in zip(trainers, entries, strict=True):
                    trainer.read_losses()
                    with entry.writing(CHECKPOINT) as temporary:
                        trainer.save(temporary)
                saved = time.monotonic()
