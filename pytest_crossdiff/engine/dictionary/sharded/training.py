"""Train one dictionary in shards, on one process or on several that step together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from pytest_crossdiff.engine.dictionary.sharded import checkpoint
from pytest_crossdiff.engine.dictionary.sharded.shards import join, take_shard
from pytest_crossdiff.engine.dictionary.sharded.trainer import ShardedTrainer
from pytest_crossdiff.engine.dictionary.training import (
    CHECK_INTERVAL,
    CHECKPOINT_SECONDS,
    batches,
)
from pytest_crossdiff.engine.dictionary.training_inputs import TrainingInputs
from pytest_crossdiff.engine.phases import TRAIN
from pytest_crossdiff.store.files import remove

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder
    from pytest_crossdiff.engine.dictionary.sharded.exchange import Exchange
    from pytest_crossdiff.engine.dictionary.training import TrainingConfig
    from pytest_crossdiff.progress import Progress


def train_in_shards(
    model: Crosscoder,
    config: TrainingConfig,
    pairs: Pairs,
    folder: Path,
    exchange: Exchange,
    device: torch.device,
    progress: Progress,
    label: str = TRAIN,
) -> tuple[ShardedTrainer, Crosscoder | None]:
    """Train `model`, which is new, and the whole dictionary, on the first process alone.

    folder: on a file system that all processes share; it keeps checkpoints, and at the end the
    whole dictionary (`discard` removes it).  Raises `ActivationError` as `train` does.
    """
    shards = {s: take_shard(model, s, exchange.shards).to(device) for s in exchange.own}
    trainer = ShardedTrainer(shards, config, exchange)
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.load(trainer, folder)
    first, saved = trainer.step, time.monotonic()
    inputs = TrainingInputs(shards[exchange.own[0]], pairs, device)
    with progress.phase(label, config.steps, "step") as bar:
        bar.advance(first)
        for step, chosen in enumerate(batches(pairs.training(), config, first), first):
            trainer.step_on_inputs(inputs(chosen))
            done = step + 1 == config.steps
            if (step + 1) % CHECK_INTERVAL == 0 or done:
                trainer.read_losses()
                # At other steps the dead features would be looked for anew.
                due = exchange.rank == 0 and time.monotonic() - saved > CHECKPOINT_SECONDS
                if exchange.count(torch.tensor([due or done])) > 0:
                    checkpoint.save(trainer, folder)
                    saved = time.monotonic()
            bar.advance(1, *(f"loss {loss:.3f}" for loss in trainer.loss[-1:]))
    return trainer, _whole(model, folder, exchange, config.steps)


def discard(folder: Path) -> None:
    """Remove the checkpoints."""
    remove(folder)


def _whole(model: Crosscoder, folder: Path, exchange: Exchange, step: int) -> Crosscoder | None:
    """The dictionary of all shards, read from the last checkpoint; None on further processes."""
    if exchange.rank:
        return None
    states = []
    for shard in range(exchange.shards):
        empty = take_shard(model, shard, exchange.shards).state_dict()
        named = {f"shard{shard}.model.{name}": of for name, of in empty.items()}
        checkpoint.read(named, folder, step)
        states.append(empty)
    return join(model.config, states)
