"""Whether a command was started as one of several processes by a launcher of torch.distributed."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.engine.ranks.group import Ranks

VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
"""What every such launcher sets."""


@contextlib.contextmanager
def ranks_of_launch() -> Iterator[Ranks | None]:
    """The processes that were started together, None for a single one."""
    if not all(name in os.environ for name in VARIABLES) or int(os.environ["WORLD_SIZE"]) < 2:
        yield None
        return
    from pytest_crossdiff.engine.ranks.group import joined

    with joined() as ranks:
        yield ranks
