"""A harvest's pieces in shards, and the shards in batches with hardly any padding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations.rendering import Encoded

SHARD_TOKENS, LEAST_SHARD_TOKENS, SHARDS = 16_384, 2_048, 32
"""A shard has at most so many tokens; fewer, but at least so many, where there are fewer than so
many shards, so that several processes have something to share.
"""
PACKED_TOKENS = 1 << 16
"""Tokens whose numbers lie together in memory."""
PADDING = 0.05
"""Share of a batch that is padding at most, once it has a 64th of its tokens."""


class Job(NamedTuple):
    """A piece by its index, tokenised."""

    piece: int
    encoded: Encoded


class Packing:
    """Lays the arrays of many pieces behind one another into a few large ones: thousands of small
    ones would leave holes in memory that no large array fits into.
    """

    def __init__(self) -> None:
        self._free: dict[np.dtype[Any], NDArray[Any]] = {}

    def packed(self, encoded: Encoded) -> Encoded:
        """The same, with its arrays inside of the large ones."""
        return replace(
            encoded,
            input_ids=self._laid(encoded.input_ids),
            starts=self._laid(encoded.starts),
            ends=self._laid(encoded.ends),
            content=self._laid(encoded.content),
            place=self._laid(encoded.place),
        )

    def _laid(self, values: NDArray[Any]) -> NDArray[Any]:
        count, free = len(values), self._free.get(values.dtype)
        if free is None or len(free) < count:
            free = np.empty(max(PACKED_TOKENS, count), dtype=values.dtype)
        free[:count] = values
        self._free[values.dtype] = free[count:]
        return free[:count]


def tokens_in(jobs: Sequence[Job]) -> int:
    """Of all their inputs."""
    return sum(len(job.encoded.input_ids) for job in jobs)


def padded_tokens(shard: Sequence[Job], budget: int) -> int:
    """Tokens that are read of a shard, padding included."""
    return sum(len(of) * len(of[-1].encoded.input_ids) for of in batches(shard, budget))


def shards(jobs: Sequence[Job], total: int) -> Iterator[list[Job]]:
    """Runs of jobs of about equal numbers of tokens, of `total`."""
    size = min(SHARD_TOKENS, max(LEAST_SHARD_TOKENS, -(-total // SHARDS)))
    shard: list[Job] = []
    tokens = 0
    for job in jobs:
        shard.append(job)
        tokens += len(job.encoded.input_ids)
        if tokens >= size:
            yield shard
            shard, tokens = [], 0
    if shard:
        yield shard


def batches(shard: Sequence[Job], budget: int) -> Iterator[list[Job]]:
    """Runs of jobs, shortest first, that padded to the longest stay within `budget` tokens, and
    hardly any of them padding.
    """
    batch: list[Job] = []
    tokens = 0
    for job in shard:
        length = len(job.encoded.input_ids)
        padded = length * (len(batch) + 1)
        wasteful = 1 - (tokens + length) / padded > PADDING and tokens >= budget // 64
        if batch and (padded > budget or wasteful):
            yield batch
            batch, tokens = [], 0
        batch.append(job)
        tokens += length
    yield batch
