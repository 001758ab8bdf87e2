"""What the processes tell each other about their shards, over plain collectives.

Sums run over the shards in their order, whatever process has which, so that the same shards give
the same bits on any number of processes.

Axes: s shards, n the shards of a process, t tokens, d whatever is summed of a token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

_GATHER: Any = getattr(dist, "all_gather_single", dist.all_gather_into_tensor)
"""By its name of newer versions of torch, which warn of the former one."""


class Exchange:
    """The processes that share the shards of a dictionary; one process alone has all of them.

    group: of torch.distributed, None where it is all of its processes.  sent: numbers that this
    process has sent to others.
    """

    def __init__(
        self, shards: int, rank: int = 0, ranks: int = 1, group: dist.ProcessGroup | None = None
    ) -> None:
        self.shards, self.rank, self.ranks, self.group = shards, rank, ranks, group
        self.sent = 0
        self._on_gpus: dist.ProcessGroup | None = None

    @property
    def own(self) -> list[int]:
        """The shards of this process."""
        return list(range(self.rank, self.shards, self.ranks))

    def owner(self, shard: int) -> int:
        """The process that has a shard."""
        return shard % self.ranks

    def total(self, parts: Sequence[Tensor], like_td: Tensor) -> Tensor:
        """The sum of every shard's part, of the shape of `like_td`; parts: those of `own`.

        Each process sums all parts of its share of the tokens, and sends the sum to the others.
        """
        if self.ranks == 1:
            return _in_order(list(parts))
        tokens, share = len(like_td), -(-len(like_td) // self.ranks)
        most = -(-self.shards // self.ranks)
        padded = like_td.new_zeros(self.ranks, most, share, *like_td.shape[1:])
        for i, part in enumerate(parts):
            for rank in range(self.ranks):
                rows = part[rank * share : (rank + 1) * share]
                padded[rank, i, : len(rows)] = rows
        received = torch.empty_like(padded)
        dist.all_to_all_single(received, padded, group=self._of(like_td))
        self.sent += (self.ranks - 1) * padded[0].numel()
        mine = _in_order(
            [received[self.owner(s), s // self.ranks] for s in range(self.shards)]
        ).contiguous()
        whole = mine.new_empty(self.ranks * share, *like_td.shape[1:])
        _GATHER(whole, mine, group=self._of(like_td))
        self.sent += (self.ranks - 1) * mine.numel()
        return whole[:tokens]

    def count(self, amounts: Tensor) -> Tensor:
        """The sum of every process's whole numbers."""
        if self.ranks > 1:
            dist.all_reduce(amounts, group=self._of(amounts))
            self.sent += 2 * amounts.numel()
        return amounts

    def wait(self) -> None:
        """Until all processes are here."""
        if self.ranks > 1:
            dist.barrier(group=self.group)

    def _of(self, x: Tensor) -> dist.ProcessGroup | None:
        """The group for tensors on the device of `x`."""
        if x.device.type != "cuda":
            return self.group
        if self._on_gpus is None:
            self._on_gpus = dist.new_group(list(range(self.ranks)), backend="nccl")
        return self._on_gpus


def _in_order(parts: Sequence[Tensor]) -> Tensor:
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    return total
