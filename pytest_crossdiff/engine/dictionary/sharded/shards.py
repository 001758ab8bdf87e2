"""A dictionary's features dealt out to shards, each of which is a small dictionary of its own."""

from __future__ import annotations

import dataclasses
import importlib.util
from typing import TYPE_CHECKING

import torch

from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder
from pytest_crossdiff.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

    from pytest_crossdiff.engine.dictionary.crosscoder import CrosscoderConfig

_BY_FEATURE = {
    "dec_a_pa": ("baseline_only", "shared"),
    "enc_a_pa": ("baseline_only", "shared"),
    "dec_b_pb": ("shared", "candidate_only"),
    "enc_b_pb": ("shared", "candidate_only"),
    "enc_bias_m": ("baseline_only", "shared", "candidate_only"),
}
"""The parameters that have a row for each feature, and the groups of features in their order."""


_CHECKPOINTS = "torch.distributed.checkpoint.hf_storage"


def bounds(count: int, shards: int) -> list[int]:
    """Where the shards of so many features begin, and the end of the last one."""
    return [i * count // shards for i in range(shards + 1)]


def must_have_features(
    configs: Iterable[CrosscoderConfig], shards: int, sources: Mapping[str, str]
) -> None:
    """Refuse so many shards that one has no feature of a group: it would reconstruct other things
    than the rest; and several where torch cannot write their checkpoints.  Raises `SettingsError`.
    """
    if shards > 1 and importlib.util.find_spec(_CHECKPOINTS) is None:
        raise SettingsError(
            f"torch {torch.__version__} has no {_CHECKPOINTS}, which dictionaries in shards need",
            source=sources.get("dictionary_shards", ""),
            remedy="pip install --upgrade torch, or set crossdiff_dictionary_shards = 1",
        )
    groups = [(of.shared, of.baseline_only, of.candidate_only) for of in configs]
    least = min(size for sizes in groups for size in sizes if size)
    if shards > least:
        raise SettingsError(
            f"{shards} shards are too many: a dictionary of the run has {least} features in its "
            "smallest group",
            source=sources.get("dictionary_shards", ""),
            remedy=f"set crossdiff_dictionary_shards = {least} or less",
        )


def shard_config(config: CrosscoderConfig, shard: int, shards: int) -> CrosscoderConfig:
    """Of a shard: a part of each group of features, the same budgets."""

    def size(count: int) -> int:
        ends = bounds(count, shards)
        return ends[shard + 1] - ends[shard]

    return dataclasses.replace(
        config,
        shared=size(config.shared),
        baseline_only=size(config.baseline_only),
        candidate_only=size(config.candidate_only),
    )


@torch.no_grad()
def take_shard(model: Crosscoder, shard: int, shards: int) -> Crosscoder:
    """The shard of a whole dictionary, with what all of them share."""
    made = Crosscoder(shard_config(model.config, shard, shards))
    state = made.state_dict()
    for name, value in model.state_dict().items():
        state[name] = value
        if name in _BY_FEATURE:
            state[name] = value[_places(model.config, name, shard, shards)]
    made.load_state_dict(state)
    return made


@torch.no_grad()
def join(config: CrosscoderConfig, states: Sequence[dict[str, Tensor]]) -> Crosscoder:
    """The whole dictionary of its shards' state dicts."""
    made = Crosscoder(config)
    state = made.state_dict()
    for shard, of in enumerate(states):
        for name, value in of.items():
            if name in _BY_FEATURE:
                state[name][_places(config, name, shard, len(states))] = value
            elif shard == 0:
                state[name] = value
    made.load_state_dict(state)
    return made


def _places(config: CrosscoderConfig, name: str, shard: int, shards: int) -> Tensor:
    """The rows of a parameter that a shard has."""
    found, first = [], 0
    for group in _BY_FEATURE[name]:
        ends = bounds(getattr(config, group), shards)
        found.append(torch.arange(first + ends[shard], first + ends[shard + 1]))
        first += getattr(config, group)
    return torch.cat(found)


BY_FEATURE = frozenset(_BY_FEATURE)
"""Names of the parameters that differ between shards; the others are the same in all."""
