"""`crossdiff doctor`: what a measurement takes, against what this machine has."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import plural, roughly, size

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.cli.checks import Checks
    from pytest_crossdiff.engine.estimate import Cost
    from pytest_crossdiff.engine.models.skeletons import ModelShape
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.engine.preflight import TokenCounts
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side


def check_cost(
    doctor: Checks,
    first: Plan,
    others: list[Settings],
    models: list[dict[Side, ModelShape]],
    tokens: TokenCounts,
) -> None:
    """Time, memory and disk of what is not measured yet, of all layers together.

    first, others: the plan at the first layer, and the settings at the others.  models: at
    each layer.
    """
    from pytest_crossdiff.engine import estimate
    from pytest_crossdiff.engine.models.devices import available_memory, choose_device, itemsize
    from pytest_crossdiff.engine.plan import plan
    from pytest_crossdiff.engine.references_cost import references_cost

    settings = first.settings
    device = choose_device(settings.device)
    missing = [
        (planned, found)
        for planned, found in zip([first, *map(plan, others)], models, strict=True)
        if planned.store.entry("result", planned.result_key).read_manifest() is None
    ]
    if not missing:
        doctor.report_check("time", "measured already: the next run answers from the cache")
        return
    rate, number = estimate.rate(device), itemsize(settings.dtype, device)
    work = (
        estimate.workload(planned, found, tokens=tokens.tokens, pairs=tokens.pairs)._replace(
            loaded=estimate.loaded(planned, found)
        )
        for planned, found in missing
    )
    cost = estimate.total_cost(estimate.cost(of, rate, itemsize=number) for of in work)
    if settings.references:
        doctor.attempt(
            "references",
            lambda: references_cost(first, rate),
            lambda of: (
                f"{plural(of.named, 'model')}, {of.unread} to be read, once"
                + (f": about {roughly(of.seconds)}" if of.unread else "")
                + (f"; what the pair writes: about {roughly(of.pair)}" if of.pair else "")
            ),
        )
    free = available_memory(device)
    needs = f"about {size(cost.memory)} needed"
    if free is None:
        doctor.note("memory", f"{needs}; the free memory is unknown")
    else:
        doctor.report_check(
            "memory", f"{needs}, {size(free)} free", passed=cost.memory < free,
            remedy=_less_memory(cost, free),
        )  # fmt: skip
    room = shutil.disk_usage(nearest(first.store.root)).free
    doctor.report_check(
        "disk", f"about {size(cost.disk)} needed, {size(room)} free", passed=cost.disk < room,
        remedy="make room (crossdiff cache prune), or set crossdiff_cache_dir",
    )  # fmt: skip
    for side in SIDES:
        root = first.references[side].root
        if root.kind == "gguf":
            taken = size(models[0][side].weights * number)
            doctor.report_check("cache", f"keeps the dequantised weights of {root.file}: {taken}")
    if settings.train == "never":
        doctor.report_check(
            "time", "crossdiff_train = never, and the cache has no result", passed=False,
            remedy="run `crossdiff train --train=auto` once, and share the cache folder",
        )  # fmt: skip
    else:
        doctor.report_check("time", estimate.words(cost))


def _less_memory(cost: Cost, free: int) -> str:
    """What to do where the free memory is too little."""
    without = (
        "set crossdiff_metrics = false, crossdiff_effect = false and crossdiff_replies = 0, which "
        f"load whole models: about {size(cost.reading)} needed then; or "
    )
    return (
        f"{without if cost.reading < free else ''}free some, set crossdiff_dtype = bfloat16 on a "
        "machine that multiplies it, or take a larger machine"
    )


def nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    return next(p for p in (path, *path.parents) if p.exists())
