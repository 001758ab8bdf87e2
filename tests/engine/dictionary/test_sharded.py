"""A dictionary in shards learns what a whole one learns, and the same bits on any number of
processes.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from safetensors.torch import save_file

from benchmarks.toy import pairs_of
from pytest_crossdiff.engine.dictionary import training
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.dictionary.sharded import checkpoint, shards
from pytest_crossdiff.engine.dictionary.sharded.exchange import Exchange
from pytest_crossdiff.engine.dictionary.sharded.selection import ABSENT, keys_of, kth_largest
from pytest_crossdiff.engine.dictionary.sharded.shards import join, must_have_features, take_shard
from pytest_crossdiff.engine.dictionary.sharded.trainer import ShardedTrainer
from pytest_crossdiff.engine.dictionary.sharded.training import train_in_shards
from pytest_crossdiff.engine.dictionary.training import Trainer, TrainingConfig
from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.progress import SilentProgress

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

A, B, TOKENS, STEPS, STOP, ACTIVE = 24, 16, 128, 64, 40, 4
CPU = torch.device("cpu")


def config(architecture: str = "innovation", features: int = 90) -> CrosscoderConfig:
    own = 0 if architecture == "standard" else 13
    if architecture == "exclusive":
        return config("innovation").exclusive_only()
    return CrosscoderConfig(architecture, A, B, features - 2 * own, own, own, ACTIVE)


def vectors(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Of both models, made of forty concepts."""
    g = torch.Generator().manual_seed(seed)
    concepts = torch.randn(40, A + B, generator=g)
    fires = torch.rand(count, 40, generator=g) < 0.08
    x = (fires * torch.rand(count, 40, generator=g)) @ concepts
    return x[:, :A].contiguous(), x[:, A:].contiguous()


@pytest.mark.parametrize("signs", ["positive", "both"])
def test_the_kth_largest_is_that_of_sorting(signs: str) -> None:
    x = torch.randn(6, 50, generator=torch.Generator().manual_seed(1))
    x = x.abs() if signs == "positive" else x
    x[:, 7] = x[:, 9]  # equals
    ranks = [1, 2, 25, 49, 50, 51]
    found = kth_largest(keys_of(x), torch.tensor(ranks), Exchange(1))
    for row, k, key in zip(x, ranks, found, strict=True):
        expected = keys_of(row.sort(descending=True).values[k - 1 : k]) if k <= 50 else [0]
        assert int(key) == int(expected[0])


def test_absent_places_do_not_count() -> None:
    keys = torch.tensor([[5, ABSENT, 9, ABSENT]])
    assert kth_largest(keys, torch.tensor([2]), Exchange(1)).tolist() == [5]


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_shards_that_are_joined_are_the_whole_dictionary(shards: int) -> None:
    whole = Crosscoder(config(), seed=3)
    parts = [take_shard(whole, shard, shards) for shard in range(shards)]
    assert sum(part.config.features for part in parts) == whole.config.features
    joined = join(whole.config, [part.state_dict() for part in parts])
    for name, value in whole.state_dict().items():
        assert torch.equal(joined.state_dict()[name], value), name


@pytest.mark.parametrize("architecture", ["innovation", "exclusive", "dfc", "standard"])
def test_shards_learn_what_the_whole_dictionary_learns(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "DEAD_TOKENS", 1_000)  # so that AuxK has something to do
    setup = TrainingConfig(STEPS, TOKENS, 3e-3)
    whole = Trainer(Crosscoder(config(architecture)), setup)
    start = Crosscoder(config(architecture))
    parts = {shard: take_shard(start, shard, 3) for shard in range(3)}
    sharded = ShardedTrainer(parts, setup, Exchange(3))
    died = 0
    for step in range(STEPS):
        x = whole.model.inputs(*vectors(TOKENS, step))
        whole.step_on_inputs(x)
        sharded.step_on_inputs(x)
        died += whole.dead
    whole.read_losses()
    sharded.read_losses()
    assert died > 0 or architecture == "exclusive"
    assert sharded.dead == whole.dead
    assert sharded.loss == pytest.approx(whole.loss, rel=2e-4)
    joined = join(start.config, [of.model.state_dict() for of in sharded.trainers.values()])
    for name, value in whole.model.state_dict().items():
        torch.testing.assert_close(joined.state_dict()[name], value, rtol=1e-2, atol=1e-3)


def test_more_shards_than_features_are_refused() -> None:
    must_have_features([config()], 13, {})
    with pytest.raises(SettingsError, match=r"14 shards are too many(.|\n)*= 13 or less"):
        must_have_features([config()], 14, {})


def test_a_torch_that_cannot_keep_shards_is_said(monkeypatch):
    monkeypatch.setattr(shards, "_CHECKPOINTS", "torch.distributed.checkpoint.of_the_future")
    must_have_features([config()], 1, {})
    with pytest.raises(SettingsError, match="which dictionaries in shards need") as caught:
        must_have_features([config()], 2, {})
    assert "--upgrade torch, or set crossdiff_dictionary_shards = 1" in caught.value.remedy


PROCESS = """
import json, os, sys
from pathlib import Path
import torch
import torch.distributed as dist
from pytest_crossdiff.engine.dictionary.sharded import training
from pytest_crossdiff.engine.dictionary.sharded.exchange import Exchange
from pytest_crossdiff.engine.dictionary.sharded.trainer import ShardedTrainer
from engine.dictionary.test_sharded import STOP, train

training.CHECKPOINT_SECONDS = 0.0
dist.init_process_group("gloo")
exchange = Exchange(2, dist.get_rank(), dist.get_world_size())
step_on_inputs, sent = ShardedTrainer.step_on_inputs, []

def counted(trainer, x):
    if trainer.step == STOP:
        if exchange.rank == 0:
            print(json.dumps(sent), flush=True)
        os._exit(7)
    before = exchange.sent
    step_on_inputs(trainer, x)
    sent.append(exchange.sent - before)

ShardedTrainer.step_on_inputs = counted
train(Path(sys.argv[1]), exchange)
"""


def train(folder: Path, exchange: Exchange) -> Crosscoder | None:
    """A dictionary of two shards on the same pairs."""
    x_a, x_b = vectors(1_200)
    pairs = pairs_of(x_a, x_b, torch.arange(1_200).numpy() // 60)
    setup = TrainingConfig(STEPS, TOKENS, 3e-3)
    model = Crosscoder(config("dfc"))
    return train_in_shards(model, setup, pairs, folder, exchange, CPU, SilentProgress())[1]


def same(one: Crosscoder | None, other: Crosscoder | None) -> bool:
    assert one is not None
    assert other is not None
    both = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in both)


def test_two_processes_stop_and_one_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = os.pathsep.join([*sys.path, "tests"])
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(tmp_path / "two")],
            env={**os.environ, **group, "RANK": str(rank), "PYTHONPATH": path},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    told = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [7, 7], told
    sent = json.loads(told[0][0])
    # Half of the sums of every token to the other process and back, the counts of eight digits of
    # the cut, and the norm; whatever the number of features is.
    assert min(sent) == TOKENS * (A + B) + 2 * 8 * 16 + 2
    assert max(sent) <= 2 * TOKENS * (ACTIVE + A + B)
    latest = json.loads((tmp_path / "two" / checkpoint.LATEST).read_bytes())
    assert 0 < latest["step"] < STOP
    assert same(train(tmp_path / "two", Exchange(2)), train(tmp_path / "one", Exchange(2)))


def test_a_damaged_checkpoint_is_not_read(tmp_path: Path) -> None:
    whole = train(tmp_path, Exchange(2))
    (file,) = (tmp_path / f"step-{STEPS}").glob("*.safetensors")
    save_file({"x": torch.zeros(1)}, file)
    assert same(train(tmp_path, Exchange(2)), whole)  # from the beginning
