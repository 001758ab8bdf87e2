"""A harvest's pieces in shards, and the shards in batches with hardly any padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_crossdiff.engine.activations.rendering import Encoded

SHARD_TOKENS = 16_384
PADDING = 0.05
"""Share of a batch that is padding at most, once it has a 64th of its tokens."""


class Job(NamedTuple):
    """A piece by its index, tokenised."""

    piece: int
    encoded: Encoded


def shards(jobs: Sequence[Job]) -> Iterator[list[Job]]:
    """Runs of jobs of about SHARD_TOKENS tokens."""
    shard: list[Job] = []
    tokens = 0
    for job in jobs:
        shard.append(job)
        tokens += len(job.encoded.input_ids)
        if tokens >= SHARD_TOKENS:
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
