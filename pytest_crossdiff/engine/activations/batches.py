"""A harvest's pieces in shards, and the shards in batches with hardly any padding."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_crossdiff.engine.activations.rendering import Encoded

SHARD_TOKENS, LEAST_SHARD_TOKENS, SHARDS = 16_384, 2_048, 32
"""A shard has at most so many tokens; fewer, but at least so many, where there are fewer than so
many shards, so that several processes have something to share.
"""
PADDING = 0.05
"""Share of a batch that is padding at most, once it has a 64th of its tokens."""


class Job(NamedTuple):
    """A piece by its index, tokenised."""

    piece: int
    encoded: Encoded


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
