"""Pieces of work side by side, each on its share of the processor's cores.

A step of one small dictionary keeps one core busy and hardly two: its products are short, and what
lies between them isn't divided.  So the dictionaries of a run are divided among the cores instead,
and a small one has one core: where others use the machine, threads that divide a short product wait
for each other most of the time.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Work: TypeAlias = Callable[[], object]
    Run: TypeAlias = Callable[[Iterable[Work]], None]


SHORT = 1 << 29
"""Multiplications from which on a product is divided, a fiftieth of a second for one core."""


@contextlib.contextmanager
def side_by_side(count: int, device: torch.device, product: int) -> Iterator[Run]:
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
        yield _one_by_one
        return
    torch.set_num_threads(share)
    try:
        if workers < 2:
            yield _one_by_one
            return
        with ThreadPoolExecutor(workers, "crossdiff", torch.set_num_threads, (share,)) as pool:

            def at_once(work: Iterable[Work]) -> None:
                for done in [pool.submit(piece) for piece in work]:
                    done.result()

            yield at_once
    finally:
        torch.set_num_threads(threads)


def _one_by_one(work: Iterable[Work]) -> None:
    for piece in work:
        piece()
