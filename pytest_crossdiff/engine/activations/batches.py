"""A harvest's pieces in shards, and the shards in batches with hardly any padding."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.activations.rendering import Encoded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.corpus.sampling import Piece

SHARD_TOKENS, LEAST_SHARD_TOKENS, SHARDS = 16_384, 2_048, 32
"""A shard has at most so many tokens; fewer, but at least so many, where there are fewer than so
many shards, so that several processes have something to share.
"""
PACKED_TOKENS = 1 << 16
"""Tokens whose numbers lie together in memory."""
TOKENISED_AT_ONCE = 64
"""Pieces; so long does an interruption wait."""
PADDING = 0.05
"""Share of a batch that is padding at most, once it has a 64th of its tokens."""


class _Page(NamedTuple):
    """The arrays of many pieces, one behind the other; see `Encoded`."""

    input_ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    content: NDArray[np.bool_]
    place: NDArray[np.int8]

    @classmethod
    def empty(cls, tokens: int) -> _Page:
        ids, starts, ends = (np.empty(tokens, dtype=np.int32) for _ in range(3))
        return cls(ids, starts, ends, np.empty(tokens, dtype=bool), np.empty(tokens, dtype=np.int8))


class Job(NamedTuple):
    """A piece by its index, tokenised: its arrays are those of `page` from `start` to `end`.

    counts: the other fields of its `Encoded`.
    """

    piece: int
    page: _Page
    start: int
    end: int
    counts: tuple[int, int, int]

    @property
    def length(self) -> int:
        """How many tokens the model reads."""
        return self.end - self.start

    @property
    def encoded(self) -> Encoded:
        """What the model reads, made where it is asked for: of each piece six objects that stay
        would take more memory than its tokens.
        """
        ids, starts, ends, content, place = self.page
        own = slice(self.start, self.end)
        return Encoded(ids[own], starts[own], ends[own], content[own], place[own], *self.counts)


class Packing:
    """Lays the arrays of many pieces behind one another into a few large ones: thousands of small
    ones would leave holes in memory that no large array fits into.
    """

    def __init__(self) -> None:
        self._page, self._used = _Page.empty(0), 0

    def job(self, piece: int, encoded: Encoded) -> Job:
        """The piece with its arrays inside of the large ones."""
        start, end = self._used, self._used + len(encoded.input_ids)
        if end > len(self._page.input_ids):
            start, end = 0, end - start
            self._page = _Page.empty(max(PACKED_TOKENS, end))
        for name, array in self._page._asdict().items():
            array[start:end] = getattr(encoded, name)
        self._used = end
        counts = encoded.truncated_characters, encoded.special, encoded.unplaced_characters
        return Job(piece, self._page, start, end, counts)


def tokenised(
    pieces: Iterable[tuple[int, Piece]],
    encode: Callable[[Piece], Encoded],
    is_wanted: Callable[[Encoded], bool],
) -> list[Job]:
    """The jobs of `pieces`, given with their indices, as far as they are wanted.

    They are tokenised in a thread that ends here: tokenizers (0.23) keep the words that a thread
    has met until the thread ends, 3 MB and more for each tokenizer, whether or not it is deleted.
    """
    packing, jobs, rest = Packing(), [], iter(pieces)
    with ThreadPoolExecutor(1) as thread:
        while some := list(itertools.islice(rest, TOKENISED_AT_ONCE)):
            made = thread.submit(_all, encode, [piece for _, piece in some]).result()
            jobs += [
                packing.job(index, encoded)
                for (index, _), encoded in zip(some, made, strict=True)
                if is_wanted(encoded)
            ]
    return jobs


def _all(encode: Callable[[Piece], Encoded], pieces: Sequence[Piece]) -> list[Encoded]:
    return [encode(piece) for piece in pieces]


def tokens_in(jobs: Sequence[Job]) -> int:
    """Of all their inputs."""
    return sum(job.length for job in jobs)


def padded_tokens(shard: Sequence[Job], budget: int) -> int:
    """Tokens that are read of a shard, padding included."""
    return sum(len(of) * of[-1].length for of in batches(shard, budget))


def shards(jobs: Sequence[Job], total: int) -> Iterator[list[Job]]:
    """Runs of jobs of about equal numbers of tokens, of `total`."""
    size = min(SHARD_TOKENS, max(LEAST_SHARD_TOKENS, -(-total // SHARDS)))
    shard: list[Job] = []
    tokens = 0
    for job in jobs:
        shard.append(job)
        tokens += job.length
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
        length = job.length
        padded = length * (len(batch) + 1)
        wasteful = 1 - (tokens + length) / padded > PADDING and tokens >= budget // 64
        if batch and (padded > budget or wasteful):
            yield batch
            batch, tokens = [], 0
        batch.append(job)
        tokens += length
    yield batch
