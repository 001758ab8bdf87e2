"""Checkpoints of a dictionary in shards: torch.distributed.checkpoint, as safetensors.

Every process writes its own shards beside the others' and reads those that it has now, so a run
goes on with another number of processes.
"""

from __future__ import annotations

import contextlib
import json
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch.distributed.checkpoint import state_dict_loader, state_dict_saver
from torch.distributed.checkpoint.hf_storage import (
    HuggingFaceStorageReader,
    HuggingFaceStorageWriter,
)

from pytest_crossdiff.store.digest import content_digest
from pytest_crossdiff.store.files import remove, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from torch import Tensor

    from pytest_crossdiff.engine.dictionary.sharded.trainer import ShardedTrainer

LATEST = "latest.json"


def save(trainer: ShardedTrainer, folder: Path) -> None:
    """Keep where all shards are in `folder`, instead of what was kept there before."""
    exchange, step = trainer.exchange, trainer.step
    path = folder / f"step-{step}"
    if exchange.rank == 0:
        remove(path)  # of a run that was killed while it wrote
    exchange.wait()
    writer = HuggingFaceStorageWriter(str(path), save_distributed=True)
    state: Any = {name: of.detach().cpu().contiguous() for name, of in _state(trainer).items()}
    alone = exchange.ranks == 1
    with _silence():
        state_dict_saver.save(
            state, storage_writer=writer, process_group=exchange.group, no_dist=alone
        )
    if exchange.rank == 0:
        files = {file.name: content_digest(file) for file in path.iterdir()}
        latest = {"step": step, "loss": trainer.loss, "files": files}
        replace_file(folder / LATEST, json.dumps(latest).encode(), synced=True)
        for older in folder.glob("step-*"):
            if older != path:
                remove(older)
    exchange.wait()


def load(trainer: ShardedTrainer, folder: Path) -> None:
    """Let the shards go on where `save` was called; nothing where there is no whole checkpoint."""
    latest = _latest(folder)
    exchange = trainer.exchange
    if exchange.count(torch.tensor([latest is not None])) < exchange.ranks or latest is None:
        return
    state = {name: torch.zeros_like(of, device="cpu") for name, of in _state(trainer).items()}
    read(state, folder, latest["step"])
    for shard, of in trainer.trainers.items():
        prefix = f"shard{shard}."
        own = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        of.restore(own, latest["step"], list(latest["loss"]))


def read(state: dict[str, Tensor], folder: Path, step: int) -> None:
    """Read the tensors that `state` names into it."""
    reader = HuggingFaceStorageReader(str(folder / f"step-{step}"))
    with _silence():
        state_dict_loader.load(state, storage_reader=reader, no_dist=True)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Without the warning that a single process is a single process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled")
        yield


def _state(trainer: ShardedTrainer) -> dict[str, Tensor]:
    return {
        f"shard{shard}.{name}": value
        for shard, of in trainer.trainers.items()
        for name, value in of.state().items()
    }


def _latest(folder: Path) -> dict[str, Any] | None:
    """What the last `save` kept, if its files are as they were written."""
    try:
        latest: dict[str, Any] = json.loads((folder / LATEST).read_bytes())
        path = folder / f"step-{latest['step']}"
        files = latest["files"].items()
        return latest if all(content_digest(path / n) == sha for n, sha in files) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
