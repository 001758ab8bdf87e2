"""Pieces of work side by side, each on its share of the processor's cores.

A step of one small dictionary keeps one core busy and hardly two: its products are short, and what
lies between them isn't divided.  So the dictionaries of a run are divided among the cores instead,
and a small one has one core: where others use the machine, threads that divide a short product wait
for each other most of the time.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_crossdiff.engine.dictionary.crosscoder import CrosscoderConfig

T = TypeVar("T")


SHORT = 1 << 29
"""Multiplications from which on a product is divided, a fiftieth of a second for one core."""

SMALL = 1 << 22
"""Weights of a dictionary up to which several may be worked on at once: 16 MB, and about four times
as much for what training and verification keep of each."""


def is_small(config: CrosscoderConfig) -> bool:
    """Whether several such dictionaries take little memory."""
    return config.features * (config.width_a + config.width_b) <= SMALL


class Run(Protocol):
    """Does pieces of work."""

    def __call__(
        self, work: Iterable[Callable[[], T]], after_each: Callable[[], object] = ...
    ) -> list[T]:
        """What they return, when all are done.  after_each: called here, once for each piece."""


@contextlib.contextmanager
def side_by_side(count: int, device: torch.device, product: int = SHORT) -> Iterator[Run]:
    """A function that does up to `count` pieces of work at once, the first ones first, and returns
    when all are done.  It raises what one of them raised.

    product: multiplications of the largest product in a piece.  Inside, torch has as many threads
    as are one piece's share, and one where that is short.  On another device than a CPU, and with
    one thread, one piece is done after the other.
    """
    threads = torch.get_num_threads()
    workers = min(count, threads)
    share = 1 if product < SHORT else threads // workers
    if device.type != "cpu" or share == threads:
        yield one_by_one
        return
    torch.set_num_threads(share)
    try:
        if workers < 2:
            yield one_by_one
            return
        with ThreadPoolExecutor(workers, "crossdiff", torch.set_num_threads, (share,)) as pool:

            def run(
                work: Iterable[Callable[[], T]], after_each: Callable[[], object] = _nothing
            ) -> list[T]:
                begun = [pool.submit(piece) for piece in work]
                return one_by_one([piece.result for piece in begun], after_each)

            yield run
    finally:
        torch.set_num_threads(threads)


def _nothing() -> None:
    pass


def one_by_one(
    work: Iterable[Callable[[], T]], after_each: Callable[[], object] = _nothing
) -> list[T]:
    """The same without threads."""
    made = []
    for piece in work:
        made.append(piece())
        after_each()
    return made
