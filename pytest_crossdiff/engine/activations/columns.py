"""What is found of a shard's pieces as the tensors that are stored.

Axes: t content tokens, d model width, w words.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.batches import Job


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
