"""Tables of `docs/evidence/performance.md`, from the committed results.

python -m benchmarks.speed.page
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from benchmarks.dictionaries import ARCHITECTURES
from benchmarks.documents import DOCS, write_blocks
from benchmarks.peers import FILE as PEERS
from benchmarks.speed.growth import SIZES
from benchmarks.speed.step import PARTS, WHOLE

if TYPE_CHECKING:
    from collections.abc import Sequence

PERFORMANCE = DOCS / "evidence" / "performance.md"
RESULTS = Path(__file__).parent / "results"
MODELS = {"minilm": "MiniLM, 22.7 M parameters", "smollm2": "SmolLM2, 135 M parameters"}
"""What stands in the table for a folder of the example's models, by its name without version."""


def tables() -> dict[tuple[Path, str], str]:
    """The generated blocks, by page and name."""
    blocks = {
        "peers": peers(_read(PEERS)["rows"]),
        "step": step(_read(RESULTS / "step.json")["milliseconds"]),
        "step-small": step(_read(RESULTS / "step-small.json")["milliseconds"]),
        "quality": quality(_read(RESULTS / "quality.json")["rows"]),
        "growth": growth(_read(RESULTS / "growth.json")["rows"]),
        "harvest": harvest([_read(RESULTS / f"harvest-{model}.json") for model in MODELS]),
        "verification": verification(_read(RESULTS / "verification.json")["rows"]),
        "tokens": tokens(_read(RESULTS / "tokens.json")["rows"]),
        "cached": cached(_read(RESULTS / "cached.json")["rows"]),
    }
    return {(PERFORMANCE, name): text for name, text in blocks.items()}


def peers(rows: Sequence[dict[str, Any]]) -> str:
    """A training step of each trainer."""
    formats = ("", ".0f", ".0f", ".2f", ".2f")
    return tabulate(
        [list(row.values()) for row in rows], list(rows[0]), tablefmt="github", floatfmt=formats
    )


def step(found: dict[str, dict[str, float]]) -> str:
    """The parts of a step of each architecture."""
    order = [*(part for part in PARTS if part != WHOLE), "the rest", WHOLE]
    rows = [[part, *(found[a][part] for a in ARCHITECTURES)] for part in order]
    return tabulate(rows, ["CPU ms", *ARCHITECTURES], tablefmt="github", floatfmt=".1f")


def quality(rows: Sequence[dict[str, Any]]) -> str:
    """Means over seeds, with the least and the most difference."""
    table = []
    for architecture in ARCHITECTURES:
        of = [row for row in rows if row["architecture"] == architecture]
        dense = fmean(row["autograd, dense"] for row in of)
        cells = [architecture, f"{dense:.5f}"]
        for way, more in (("by hand", "more"), ("bfloat16", "more by it")):
            differences = [row[more] for row in of]
            low, high = min(differences), max(differences)
            cells.append(f"{fmean(row[way] for row in of):.5f}")
            cells.append(f"{fmean(differences):+.2%} ({low:+.2%} to {high:+.2%})")
        table.append(cells)
    head = ["architecture", "autograd, dense", "by hand", "difference", "bfloat16", "difference"]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def growth(rows: Sequence[dict[str, Any]]) -> str:
    """Milliseconds of a step, what is varied side by side."""
    columns = [
        [(str(row["size"]), f"{row['ms']:.1f}") for row in rows if row["varied"] == what]
        for what in SIZES
    ]
    table = [[cell for pair in line for cell in pair] for line in zip(*columns, strict=True)]
    head = [name for what in SIZES for name in (what, "ms")]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def harvest(found: Sequence[dict[str, Any]]) -> str:
    """CPU seconds of reading each model."""
    table = [
        [
            MODELS[record["model"].partition("-")[0]],
            record["layer"],
            f"{record['plain_cpu_s']:.2f}",
            f"{record['ours_cpu_s']:.2f}",
            f"{record['times']:.2f}",
            f"{100 * record['padding']:.1f} %",
        ]
        for record in found
    ]
    head = ["model", "block", "plain loop", "pytest-crossdiff", "times as fast", "padding"]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def verification(rows: Sequence[dict[str, Any]]) -> str:
    """Time and memory by number of tokens."""
    table = [
        [
            f"{row['tokens']:,}",
            f"{row['cpu_s']:.1f}",
            f"{row['before_mb']:.0f}",
            f"{row['peak_mb']:.0f}",
        ]
        for row in rows
    ]
    head = ["tokens", "CPU s", "peak MB before", "peak MB"]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def tokens(rows: Sequence[dict[str, Any]]) -> str:
    """A whole comparison by its amount of text."""
    table = []
    for row in rows:
        seconds = row["cpu_seconds"]
        reading = seconds["read baseline"] + seconds["read candidate"]
        phases = (
            reading,
            *(seconds[p] for p in ("train crosscoder", "verify features", "controls")),
        )
        limits = (row["limit"][side] for side in ("candidate", "baseline"))
        table.append(
            [
                f"{row['pairs'] + row['heldout_pairs']:,}",
                f"{row['steps']:,}",
                f"{row['features']:,}",
                *(f"{one:.0f}" for one in phases),
                f"{row['total']:.0f}",
                f"{row['peak_mb']:,}",
                *("none" if limit is None else f"{limit:.4f}" for limit in limits),
            ]
        )
    head = ["pairs of tokens", "steps", "features", "read", "train", "verify", "controls", "CPU s"]
    head += ["peak MB", "limit, candidate", "limit, baseline"]
    return tabulate(table, head, tablefmt="github", disable_numparse=True)


def cached(rows: Sequence[dict[str, Any]]) -> str:
    """What the plugin adds to a process; the first row is without it."""
    table = []
    for row in rows:
        more = [row[name] for name in ("cpu_ms_more", "wall_ms_more", "modules_more")]
        cpu, wall, modules = (f"{value:.0f}" if any(more) else "" for value in more)
        table.append([row["process"], row["cpu_ms"], cpu, row["wall_ms"], wall, modules])
    head = ["process", "CPU ms", "more", "wall ms", "more", "modules more"]
    return tabulate(table, head, tablefmt="github")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def main() -> None:
    """Draw everything from the committed results."""
    write_blocks(tables())


if __name__ == "__main__":
    main()
