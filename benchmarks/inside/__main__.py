"""Three criteria inside the models, tried on worlds with known truth.

    python -m benchmarks.inside toy                 worlds known by construction: seconds
    python -m benchmarks.inside measure HALF [SET]  read, train and test on models of the population
                                                    (built by `python -m benchmarks.population
                                                    build HALF`): ten minutes of CPU a set
    python -m benchmarks.inside lost HALF           what g says of models that lost something: six
                                                    minutes of CPU
    python -m benchmarks.inside judge               results from what was measured
    python -m benchmarks.inside page                its tables, in explanation/reference-models.md

HALF is development or reporting; SET is 0 or 1.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import torch

from benchmarks.documents import write_blocks
from benchmarks.inside import lost, page, toy
from benchmarks.inside.activations import World
from benchmarks.inside.judging import ablated, judged, summary
from benchmarks.inside.measure import choices, measure
from benchmarks.population.family import Family
from benchmarks.records import read_tables, write_tables

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.population.bases import Half
    from benchmarks.records import Record

SETS = 2
HALVES: tuple[Half, ...] = ("development", "reporting")
TOY_SEEDS = 10


def main(arguments: list[str]) -> None:
    """Run the step asked for."""
    torch.set_num_threads(1)
    step, *rest = arguments
    globals()[f"_{step}"](*rest)


def _toy() -> None:
    rows = [*toy.summary([*toy.measured(TOY_SEEDS)])]
    _replace(
        {
            "toy kinds": [r for r in rows if "kind" in r],
            "toy criteria": [r for r in rows if "criterion" in r],
        }
    )


def _measure(half: Half, number: str = "") -> None:
    family = Family()
    world = World(family, half)
    for at, choice in enumerate(choices(world, SETS)):
        if not number or int(number) == at:
            with _measured(family, half, at).open("w", encoding="utf-8") as file:
                file.writelines(json.dumps(r) + "\n" for r in measure(world, choice))


def _lost(half: Half) -> None:
    _replace({f"{half} lost": [*lost.measured(World(Family(), half))]})


def _judge() -> None:
    family, tables = Family(), {}
    for half in HALVES:
        records: list[Record] = []
        for path in (_measured(family, half, at) for at in range(SETS)):
            if path.exists():
                records += [json.loads(line) for line in path.open(encoding="utf-8")]
        if records:
            tables[half] = [*summary([*judged(records)])]
            tables[f"{half} ablation"] = [*ablated(records)]
    _replace(tables)


def _page() -> None:
    write_blocks(page.tables())


def _measured(family: Family, half: Half, at: int) -> Path:
    return family.root / f"inside-{half}-{at}.jsonl"


def _replace(tables: dict[str, list[Record]]) -> None:
    """Replace these tables of the results."""
    write_tables(page.RESULTS, read_tables(page.RESULTS) | tables)
    for table, rows in tables.items():
        for row in rows:
            print(table, row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
