"""What is found of a shard's pieces as the tensors that are stored, and these read again.

Axes: t content tokens, d model width, w words.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.lib.mixins import NDArrayOperatorsMixin

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.batches import Job


class StoredColumn(NDArrayOperatorsMixin):
    """One number of each token of all shards, read from the files that hold it where it is asked
    for, so that memory doesn't grow with the texts: stands where an array would stand, as far as
    `column[rows]`, `np.asarray(column)` and operators go.
    """

    def __init__(self, parts: Sequence[NDArray[Any]]) -> None:
        self._parts = parts
        self._starts = np.cumsum([0, *map(len, parts)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __array__(
        self, dtype: np.dtype[Any] | None = None, copy: bool | None = None
    ) -> NDArray[Any]:
        return np.concatenate(self._parts).astype(dtype or self._parts[0].dtype, copy=False)

    def __array_ufunc__(
        self, operation: np.ufunc, method: str, *given: object, **options: object
    ) -> object:
        read = (np.asarray(x) if isinstance(x, StoredColumn) else x for x in given)
        return getattr(operation, method)(*read, **options)

    def __getitem__(self, rows: NDArray[np.integer]) -> NDArray[Any]:
        found = np.empty(len(rows), dtype=self._parts[0].dtype)
        for i, inside, chosen in by_shard(self._starts, rows):
            found[inside] = self._parts[i][chosen]
        return found


def by_shard(
    starts: NDArray[np.int64], rows: NDArray[np.integer]
) -> Iterator[tuple[int, slice | NDArray[np.bool_], NDArray[np.int64]]]:
    """The shards in which `rows` lie, each with which of them do, and their rows there; a shard
    begins at row `starts[i]`.
    """
    shard = np.searchsorted(starts, rows, side="right") - 1
    rising = bool((shard[1:] >= shard[:-1]).all())
    for i in np.unique(shard).tolist():
        inside: slice | NDArray[np.bool_] = shard == i
        if rising:
            inside = slice(*np.searchsorted(shard, (i, i + 1)).tolist())
        yield i, inside, rows[inside] - starts[i]


class Found(NamedTuple):
    """Of the content tokens of a piece: vectors, shape (t, d), and surprises, shape (t,)."""

    vectors_td: Tensor
    nll_t: Tensor


def columns_of(
    shard: Sequence[Job],
    parts: dict[int, Found],
    said_w: Tensor | None,
    *,
    conversations: bool,
) -> dict[str, Tensor]:
    """A shard's vectors and index as the tensors that are stored; where predictions were read,
    surprises and the probability of each word; places where there are conversations.
    """

    def column(values: list[NDArray[Any]], kind: type = np.int32) -> Tensor:
        return torch.from_numpy(np.concatenate(values).astype(kind))

    kept = [(job.encoded, np.asarray(job.encoded.content, dtype=bool)) for job in shard]
    lengths = [int(content.sum()) for _, content in kept]
    pieces = itertools.chain.from_iterable(
        [j.piece] * n for j, n in zip(shard, lengths, strict=True)
    )
    more = {}
    if said_w is not None:
        nll_n = torch.cat([parts[job.piece].nll_t for job in shard])
        more = {"surprise": nll_n, "said": said_w}
    if conversations:
        more["place"] = column([e.place[content] for e, content in kept], np.int8)
    return more | {
        "activations": torch.cat([parts[job.piece].vectors_td for job in shard]),
        "piece": torch.tensor(list(pieces), dtype=torch.int32),
        "ids": column([np.asarray(e.input_ids)[content] for e, content in kept]),
        "starts": column([np.asarray(e.starts)[content] for e, content in kept]),
        "ends": column([np.asarray(e.ends)[content] for e, content in kept]),
    }
