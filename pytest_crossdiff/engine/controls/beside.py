"""A run's controls, made beside its dictionaries where that costs little memory: they need nothing
of these, and one small dictionary keeps one core busy.
"""

from __future__ import annotations

import contextlib
import functools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch

from pytest_crossdiff.engine.controls.controls import CONTROLS, as_controls, control, control_config
from pytest_crossdiff.engine.controls.shared_progress import SharedProgress
from pytest_crossdiff.engine.dictionary.side_by_side import is_small

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.controls import Controls

    Finish = Callable[[Crosscoder], Controls]

MADE = CONTROLS[::-1]
"""In the reverse order of the other ranks of a run, so that neither waits for long."""


@contextlib.contextmanager
def controls_beside(
    plan: Plan, pairs: Pairs, device: torch.device, progress: Progress
) -> Iterator[Finish]:
    """A function that gives both controls, from the cache or made; it takes the run's first
    dictionary.  Inside they are made meanwhile, where there are threads for that.
    """
    make = functools.partial(control, plan=plan, pairs=pairs, device=device)
    threads, config = torch.get_num_threads(), control_config(plan, pairs)
    wanted = plan.settings.controls and device.type == "cpu" and threads > 1
    if not wanted or not is_small(config):
        yield lambda model: as_controls(
            {kind: make(kind, progress=progress, maps_from=model) for kind in MADE}
        )
        return
    shared = SharedProgress(progress)
    workers = min(len(MADE), threads - 1)
    with (
        ThreadPoolExecutor(workers, "crossdiff-control", torch.set_num_threads, (1,)) as pool,
        shared.ended_together(),
    ):
        begun = {kind: pool.submit(make, kind, progress=shared) for kind in MADE}

        def finish(_: Crosscoder) -> Controls:
            shared.show()
            return as_controls({kind: made.result() for kind, made in begun.items()})

        yield finish
