"""The processes of a run and what they tell each other."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
import torch.distributed.nn.functional

from pytest_crossdiff.engine.dictionary.sharded.exchange import Exchange
from pytest_crossdiff.errors import CrossDiffError

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
_PATIENCE = dt.timedelta(days=7)
"""A rank may work this long while another waits; one that ends is noticed at once."""
JOINING = dt.timedelta(minutes=5)
"""Within which all ranks have to join: of one that ends before, the others can't know."""


class RankError(CrossDiffError):
    """Another process of the run ended, or is not like this one."""


@dataclass(frozen=True)
class Ranks:
    """The processes of a run, as one of them sees them: its number, and how many there are."""

    rank: int
    count: int

    @property
    def is_first(self) -> bool:
        """Whether this process keeps the cache's locks and tells the outcome."""
        return self.rank == 0

    @property
    def name(self) -> str:
        """For messages."""
        return f"rank {self.rank} on {socket.gethostname()}"

    def gather(self, value: T) -> list[T]:
        """The values of all ranks, in their order, on every rank.  Raises `RankError`."""
        found: list[Any] = [None] * self.count
        with _lost():
            dist.all_gather_object(found, value)
        return found

    def share(self, value: T) -> T:
        """The first rank's value, on every rank.  Raises `RankError`."""
        found: list[Any] = [value if self.is_first else None]
        with _lost():
            dist.broadcast_object_list(found, src=0)
        shared: T = found[0]
        return shared

    @contextlib.contextmanager
    def sharing(self, shards: int) -> Iterator[Exchange | None]:
        """What the ranks that share so many shards tell each other; None on ranks without any.

        Raises `RankError` where one of them ends.
        """
        together = min(self.count, shards)
        self.wait()  # so that all are there when the group is made
        with _lost():
            group = dist.new_group(list(range(together)), timeout=JOINING)
            if self.rank < together:
                _be_patient(group)
            yield Exchange(shards, self.rank, together, group) if self.rank < together else None

    def wait(self) -> None:
        """Until all ranks are here.  Raises `RankError`."""
        self.gather(None)


@contextlib.contextmanager
def joined() -> Iterator[Ranks]:
    """Inside, the processes that a launcher started are a group.  Raises `RankError`.

    `torch.distributed.nn.functional` has to be imported by now: its functions keep the group of
    that moment as a default, and a group that is kept has threads that can abort a process while it
    ends.
    """
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    with _lost():
        dist.init_process_group("gloo", timeout=JOINING)
        _be_patient()
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def _be_patient(group: dist.ProcessGroup | None = None) -> None:
    # torch has no public function for it; a group that is made with this patience joins with it.
    dist.distributed_c10d._set_pg_timeout(_PATIENCE, group)


@contextlib.contextmanager
def _lost() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise RankError(
            "another process of the run ended or can't be reached: "
            f"{str(error).partition(chr(10))[0][:200]}",
            source="torch.distributed",
            remedy="see what the other ranks say; the same command goes on where they were",
        ) from error
