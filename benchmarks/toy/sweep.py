"""Sweeps over the toy world: which architecture and which probe find what is planted, and no more.

    python -m benchmarks.toy.sweep [SWEEP...]

Appends one line of JSON for each dictionary, seed and way of judging it to `FILE`,
and leaves out what is there already; so it can be interrupted and run again.
CROSSDIFF_TOY names another file.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from benchmarks.toy.maps import both_layers
from benchmarks.toy.methods import Method, difference_toy, report, residual_toy, rows, trained
from benchmarks.toy.world import BASE, World, make

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.engine.activations.pairs import Pairs

SEEDS = 5
Grid: TypeAlias = "list[tuple[World, Method]]"
FILE = Path(__file__).parent / "results" / "sweep.jsonl"

JUDGED = {
    "standard": ("norms", "ridge", "mlp"),
    "dfc": ("partition", "ridge", "mlp"),
    "innovation": ("partition", "ridge", "mlp"),
    "difference": ("all",),
    "cascade": ("partition", "ridge", "mlp"),
    "curved": ("partition", "mlp"),
    "layered": ("partition", "mlp"),
    "deeper": ("partition", "mlp"),
}
OURS, OTHERS = ("innovation",), ("dfc", "standard")
LARGE = 0.2
"""Share of the dictionary in either exclusive part, the product's; `dfc`'s paper has 0.05."""


def sweeps() -> dict[str, Grid]:
    """Every sweep: its worlds and dictionaries (`judged` is filled in from JUDGED)."""

    def each(world: World, *, architectures: tuple[str, ...], **knobs: float) -> Grid:
        return [(world, Method(a, "", **knobs)) for a in architectures]

    def but(**knobs: float) -> World:
        return dataclasses.replace(BASE, **knobs)

    tune = but(rotated=False, bend=0.25)
    null = but(own=0)
    usual = {"share": LARGE, "k_own": 0.5}

    def ours(world: World, **kw: float) -> Grid:
        """The product's default."""
        return each(world, architectures=OURS, **usual, **kw)

    def side_by_side(world: World, **kw: float) -> Grid:
        """The product's default, and the others as published."""
        return ours(world, **kw) + each(world, architectures=OTHERS, **kw)

    def budget(world: World) -> Grid:
        """`innovation` with an active exclusive feature on every token, not on every second."""
        return each(world, architectures=OURS, share=LARGE)

    def apart(**knobs: float) -> Grid:
        """Models at a large distance, with nothing planted and with something."""
        return ours(but(own=0, **knobs)) + ours(but(**knobs))

    bends = (0.0, 0.7, 1.0, 1.5, float("inf"))
    return {
        "default": ours(BASE) + ours(null),
        "versions": ours(tune) + ours(dataclasses.replace(tune, own=0)),
        "apart": [pair for bend in bends for pair in apart(bend=bend)],
        "apart-density": apart(bend=1.0, density=0.01) + apart(bend=1.0, density=0.04),
        "apart-others": apart(bend=1.0, width_a=96, width_b=80)
        + apart(bend=1.0, tokens=12_000, documents=120),
        "cascade": [
            (but(own=own, bend=bend), Method("cascade", ""))
            for bend in (0.5, 1.0)
            for own in (0, BASE.own)
        ],
        "few": side_by_side(but(own=2)),
        "density": side_by_side(but(density=0.01)) + side_by_side(but(density=0.04)),
        "capacity": side_by_side(BASE, features=320) + side_by_side(BASE, features=512),
        "base": budget(BASE) + each(BASE, architectures=OTHERS),
        "nothing": budget(null) + each(null, architectures=OTHERS),
        "fine-tune": budget(tune) + each(tune, architectures=(*OTHERS, "difference")),
        "bend": each(but(bend=0.0), architectures=OTHERS)
        + each(but(bend=1.0), architectures=OTHERS),
        "unrelated": each(but(own=0, bend=float("inf")), architectures=OTHERS)
        + each(but(bend=float("inf")), architectures=OTHERS),
        "curved": [
            pair
            for bend in (*bends[1:], 0.5)
            for own in (0, BASE.own)
            for pair in each(but(bend=bend, own=own), architectures=("curved",), **usual)
        ],
        "curved-nothing": [
            pair
            for world in (
                but(own=0, shared=60, width_a=32, width_b=32, bend=1.0, density=0.04),
                but(own=0, shared=200, width_a=32, width_b=32, bend=bends[-1], noise=0.1),
                but(own=0, shared=40, width_a=32, width_b=32, bend=1.0, density=0.01, noise=0.1),
            )
            for pair in each(world, architectures=("innovation", "curved"), **usual)
        ],
        "layers": [
            pair
            for own in (BASE.own, 0)
            for pair in each(
                but(own=own, deep=16), architectures=("innovation", "deeper", "layered"), **usual
            )
        ],
        "product": side_by_side(BASE, features=1680) + side_by_side(null, features=1680),
    }


def cascade(method: Method) -> tuple[Method, Method]:
    """The two dictionaries of a cascade with as many features as `method` has."""
    first = Method("dfc", "", features=3 * method.features // 5)
    rest = method.features - first.features
    return first, Method("innovation", "", features=rest, share=0.45, k=1, k_own=0.5)


def runs(name: str) -> Iterator[tuple[World, Method]]:
    """A sweep's worlds and dictionaries, seed by seed."""
    for seed in range(SEEDS):
        for world, method in sweeps()[name]:
            yield dataclasses.replace(world, seed=seed), method


def main(*names: str) -> None:
    """Run the named sweeps, or all."""
    torch.set_num_threads(1)
    file = Path(os.environ.get("CROSSDIFF_TOY", FILE))
    lines = file.read_text().splitlines() if file.exists() else []
    done = {_key(json.loads(line)) for line in lines}
    for name in names or sweeps():
        for world, method in runs(name):
            record = {
                "sweep": name,
                "world": _json(world),
                "method": _json(method) | {"judged": ""},
            }
            wanted = [
                judged
                for judged in JUDGED[method.architecture]
                if _key(record | {"judged": judged}) not in done
            ]
            if not wanted:
                continue
            started = time.process_time()
            t = make(world)
            signed = method.architecture == "difference"
            t, last = difference_toy(t) if signed else t, method
            t = dataclasses.replace(t, pairs=read(t.pairs, method.architecture))
            if method.architecture == "cascade":
                first, last = cascade(method)
                t = residual_toy(t, trained(t.pairs, first, world.seed))
            model = trained(t.pairs, last, world.seed)
            for judged in wanted:
                reported = report(t, dataclasses.replace(last, judged=judged), model, world.seed)
                made = [list(row) for row in rows(t, reported, signed=signed)]
                seconds = round(time.process_time() - started, 1)
                line = record | {"judged": judged, "seconds": seconds, "rows": made}
                with file.open("a") as out:
                    out.write(json.dumps(line) + "\n")
                done.add(_key(line))  # two sweeps may have a world in common


def read(pairs: Pairs, architecture: str) -> Pairs:
    """What is read of another layer, where there is one: by `layered` maps, by the probes of
    `deeper` alone, by no other.
    """
    if architecture == "layered":
        return both_layers(pairs)
    return pairs if architecture == "deeper" else pairs._replace(extra_layers=((), ()))


def _json(x: World | Method) -> dict[str, Any]:
    return {k: ("inf" if v == float("inf") else v) for k, v in dataclasses.asdict(x).items()}


def _key(line: dict[str, Any]) -> str:
    world = _json(World()) | line["world"]  # older lines lack younger knobs
    return json.dumps([world, line["method"], line["judged"]], sort_keys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
