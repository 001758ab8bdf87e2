"""Sweeps over the toy world: which architecture and which probe find what is planted, and no more.

    python -m benchmarks.toy_sweep [SWEEP...]

Appends one line of JSON for each dictionary, seed and way of judging it to benchmarks/results/,
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

from benchmarks.toy import World, make
from benchmarks.toy_methods import Method, differenced, left_by, report, rows, trained

if TYPE_CHECKING:
    from collections.abc import Iterator

SEEDS = 5
Grid: TypeAlias = "list[tuple[World, Method]]"
FILE = Path(__file__).parent / "results" / "toy.jsonl"
BASE = World(
    shared=320,
    own=16,
    width_a=64,
    width_b=64,
    tokens=24_000,
    documents=240,
    bend=0.5,
    density=0.02,
    skew=0.5,
    topics=0.5,
)
"""352 concepts in 64 dimensions, a few of them several times as frequent as the most."""

JUDGED = {
    "standard": ("norms", "ridge", "mlp"),
    "dfc": ("partition", "ridge", "mlp"),
    "innovation": ("partition", "ridge", "mlp"),
    "difference": ("all",),
    "cascade": ("partition", "ridge", "mlp"),
}
ARCHITECTURES = ("dfc", "innovation", "standard")
OURS = ("innovation",)
LARGE = 0.2
"""Share of the dictionary in either exclusive part, the product's; `dfc`'s paper has 0.05."""


def sweeps() -> dict[str, Grid]:
    """Every sweep: its worlds and dictionaries (`judged` is filled in from JUDGED)."""

    def each(
        world: World, *, architectures: tuple[str, ...] = ARCHITECTURES, **knobs: float
    ) -> Grid:
        return [(world, Method(a, "", **knobs)) for a in architectures]

    def but(**knobs: float) -> World:
        return dataclasses.replace(BASE, **knobs)

    tune = but(rotated=False, bend=0.25)
    null = but(own=0)

    def core(world: World, **kw: float) -> Grid:
        return each(world, architectures=OURS, share=LARGE, **kw) + each(
            world, architectures=("dfc", "standard"), **kw
        )

    return {
        "default": each(BASE, architectures=OURS, share=LARGE, k_own=0.5)
        + each(null, architectures=OURS, share=LARGE, k_own=0.5),
        "versions": each(tune, architectures=OURS, share=LARGE, k_own=0.5)
        + each(dataclasses.replace(tune, own=0), architectures=OURS, share=LARGE, k_own=0.5),
        "apart": [
            pair
            for bend in (0.0, 0.7, 1.0, 1.5, float("inf"))
            for own in (0, BASE.own)
            for pair in each(but(own=own, bend=bend), architectures=OURS, share=LARGE, k_own=0.5)
        ],
        "apart-density": [
            pair
            for density in (0.01, 0.04)
            for own in (0, BASE.own)
            for pair in each(
                but(own=own, bend=1.0, density=density),
                architectures=OURS,
                share=LARGE,
                k_own=0.5,
            )
        ],
        "cascade": [
            (but(own=own, bend=bend), Method("cascade", ""))
            for bend in (0.5, 1.0)
            for own in (0, BASE.own)
        ],
        "base": core(BASE),
        "nothing": each(null, architectures=OURS, share=LARGE),
        "product": each(BASE, architectures=OURS, features=1680)
        + each(null, architectures=OURS, features=1680),
        "bend-far": each(but(bend=float("inf")), architectures=OURS, share=LARGE)
        + each(but(own=0, bend=float("inf")), architectures=OURS, share=LARGE),
        "unrelated": each(but(own=0, bend=float("inf")), architectures=("dfc", "standard"))
        + each(but(own=0, bend=float("inf")), architectures=OURS, share=LARGE, k_own=0.5)
        + each(but(bend=float("inf")), architectures=("dfc", "standard")),
        "few": each(but(own=2), architectures=OURS, share=LARGE),
        "share": each(BASE, architectures=OURS) + each(BASE, architectures=("dfc",), share=LARGE),
        "nothing-others": each(null),
        "product-others": each(BASE, architectures=("dfc", "standard"), features=1680)
        + each(null, architectures=("dfc", "standard"), features=1680),
        "bend": core(but(bend=0.0)) + core(but(bend=1.0)) + core(but(bend=float("inf"))),
        "capacity": core(BASE, features=320) + core(BASE, features=512),
        "nothing-bend": core(but(own=0, bend=0.0)) + core(but(own=0, bend=float("inf"))),
        "fine-tune": core(tune) + each(tune, architectures=("difference",)),
        "few-others": each(but(own=2), architectures=("dfc", "standard")),
        "density": core(but(density=0.01)) + core(but(density=0.04)),
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
            t, last = differenced(t) if signed else t, method
            if method.architecture == "cascade":
                first, last = cascade(method)
                t = left_by(t, trained(t.pairs, first, world.seed))
            model = trained(t.pairs, last, world.seed)
            for judged in wanted:
                reported = report(t, dataclasses.replace(last, judged=judged), model, world.seed)
                made = [list(row) for row in rows(t, reported, signed=signed)]
                seconds = round(time.process_time() - started, 1)
                line = record | {"judged": judged, "seconds": seconds, "rows": made}
                with file.open("a") as out:
                    out.write(json.dumps(line) + "\n")
                done.add(_key(line))  # two sweeps may have a world in common


def _json(x: World | Method) -> dict[str, Any]:
    return {k: ("inf" if v == float("inf") else v) for k, v in dataclasses.asdict(x).items()}


def _key(line: dict[str, Any]) -> str:
    return json.dumps([line["world"], line["method"], line["judged"]], sort_keys=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
