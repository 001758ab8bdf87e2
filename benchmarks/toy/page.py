"""Tables and plots of the toy world in `docs/evidence/toy-world.md`, from the committed results.

    python -m benchmarks.toy.page

The plots need matplotlib (the group `evidence`).
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tabulate import tabulate

from benchmarks.documents import DOCS, IMAGES, pyplot, write_blocks
from benchmarks.toy import coverage, p_values, sweep
from benchmarks.toy.methods import SETTINGS, Row, Score, score
from benchmarks.toy.world import BASE, World

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PAGE = DOCS / "evidence" / "toy-world.md"
JUDGEMENTS = {
    "norms": "decoder norms 9 : 1, as published",
    "partition": "every exclusive feature, untested",
    "all": "every feature, as published",
    "ridge": "tested, ridge",
    "mlp": "tested, mlp",
}
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}
"""Quantiles of Student's t for 95 % intervals of a mean over so many seeds."""


class Cell(NamedTuple):
    """What one way of looking found in one world, seed by seed."""

    world: str
    size: int
    architecture: str
    share: float
    k_own: float
    judged: str
    scores: list[Score]


def cells(lines: Iterable[str]) -> list[Cell]:
    """Runs of one kind together, in the order in which they were first made."""
    found: dict[tuple[Any, ...], Cell] = {}
    for text in lines:
        run = json.loads(text)
        method = run["method"]
        key = (
            _world(run["world"]),
            method["features"],
            method["architecture"],
            method["share"],
            method["k_own"],
            run["judged"],
        )
        cell = found.setdefault(key, Cell(*key, []))
        # older runs were made with the ridge's floor under R² for the network too
        least = SETTINGS.min_r2 if run["judged"] == "mlp" else 0.0
        cell.scores.append(score([Row(*row) for row in run["rows"]], least))
    return list(found.values())


def _world(knobs: dict[str, Any]) -> str:
    """What distinguishes a world from the usual one."""
    world = World(**{k: float("inf") if v == "inf" else v for k, v in knobs.items()})
    said = []
    for field in dataclasses.fields(World):
        value = getattr(world, field.name)
        if field.name not in {"seed", "draw"} and value != getattr(BASE, field.name):
            said.append(f"{field.name} {value:g}")
    return ", ".join(said).replace("own 0", "nothing planted") or "as described"


def table(made: Sequence[Cell]) -> str:
    """Mean over seeds with its 95 % interval."""
    rows = []
    for c in sorted(
        made, key=lambda c: (c.world, c.size, c.architecture, c.share, c.k_own, c.judged)
    ):
        columns = [
            [getattr(s, name) for s in c.scores]
            for name in ("found", "false_positives", "unrelated")
        ]
        at_one = [s.found_at_one_false_positive for s in c.scores]
        cells = [spread(values) for values in (*columns, at_one)]
        if "nothing planted" in c.world:
            cells[0] = cells[3] = ""
        rows.append([c.world, c.size, named(c), JUDGEMENTS[c.judged], len(c.scores), *cells])
    head = ["world", "features", "dictionary", "criterion", "seeds", "found", "false positives"]
    head += ["of these, unrelated to any planted concept", "found at 1 false positive"]
    return tabulate(rows, head, tablefmt="github", disable_numparse=True)


def named(c: Cell) -> str:
    """The dictionary, with the share of either exclusive part where there are some."""
    if c.architecture in {"standard", "difference"}:
        return c.architecture
    k_own = "" if c.architecture in {"dfc", "cascade"} else f", k {c.k_own:g}"
    return f"{c.architecture}, share {c.share:g}{k_own}"


def spread(values: Sequence[float]) -> str:
    """Mean ± half the 95 % interval; the mean alone where one seed has been run."""
    mean = float(np.mean(values))
    if len(values) not in STUDENT:
        return f"{mean:.1f}"
    half = STUDENT[len(values)] * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return f"{mean:.1f} ± {half:.1f}"


def coverage_table(lines: Sequence[dict[str, Any]]) -> str:
    """How often intervals cover."""
    names = ("plain_covers", "used_covers", "plain_low", "used_low")
    rows = [
        [line["of"], line["intervals"], *(f"{100 * line[name]:.1f} %" for name in names)]
        for line in lines
    ]
    head = ["features", "intervals", "coverage, percentiles", "coverage, in use"]
    head += ["truth below the lower end, percentiles", "truth below the lower end, in use"]
    return tabulate(rows, head, tablefmt="github", disable_numparse=True)


def p_value_table(rows: list[list[Any]]) -> str:
    """How often p-values are small, at the threshold and far above it."""
    shown = [
        [*row[:3], *(f"{100 * share:.2f} %" for share in row[3:6]), f"{100 * row[6]:.0f} %"]
        for row in rows
    ]
    head = [
        "errors vary",
        "documents",
        "fires in about",
        *(f"p ≤ {level:g}" for level in p_values.LEVELS),
    ]
    head.append("p ≤ 0.001 at exclusivity 0.875")
    return tabulate(shown, head, tablefmt="github", disable_numparse=True)


def draw_found(made: Sequence[Cell], path: Path) -> None:
    """Found of the planted, and reported where nothing is planted, with every seed as a dot."""
    plt = pyplot()
    usual = [c for c in made if c.world == "as described" and c.size == 160]
    usual.sort(
        key=lambda c: (c.architecture != "standard", c.architecture, c.share, c.k_own, c.judged)
    )
    null = {c[2:6]: c for c in made if c.world == "nothing planted" and c.size == 160}
    figure, axes = plt.subplots(1, 2, figsize=(10, 0.34 * len(usual) + 1.2), sharey=True)
    for y, c in enumerate(usual):
        pair = (c.scores, getattr(null.get(c[2:6]), "scores", []))
        for axis, scores, name in zip(axes, pair, ("found", "differences"), strict=True):
            values = [getattr(s, name) for s in scores]
            if values:
                axis.barh(y, np.mean(values), color="#4c78a8" if name == "found" else "#e45756")
                axis.plot(values, [y] * len(values), "k.", markersize=4)
            else:
                axis.text(0.5, y, "not run", va="center", fontsize=7, color="grey")
    axes[0].set_yticks(range(len(usual)), [f"{named(c)}: {JUDGEMENTS[c.judged]}" for c in usual])
    axes[0].tick_params("y", labelsize=8)
    axes[0].set(xlabel="planted concepts found, of 32", xlim=(0, 32))
    axes[1].set(xlabel="false positives where nothing is planted", xlim=(0, 66))
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def measured() -> list[Cell]:
    """The committed runs of the sweeps."""
    return cells(sweep.FILE.read_text("utf-8").splitlines())


def tables() -> dict[tuple[Path, str], str]:
    """The generated blocks, by page and name."""
    intervals = json.loads(coverage.FILE.read_text("utf-8"))
    shares = json.loads(p_values.FILE.read_text("utf-8"))["rows"]
    return {
        (PAGE, "toy"): table(measured()),
        (PAGE, "toy-coverage"): coverage_table(intervals),
        (PAGE, "p-values"): p_value_table(shares),
    }


def draw() -> None:
    """The plot."""
    draw_found(measured(), IMAGES / "toy.png")


def main() -> None:
    """Draw everything from the committed results."""
    draw()
    write_blocks(tables())


if __name__ == "__main__":
    main()
