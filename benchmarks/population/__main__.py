"""Build the population, judge its models, write the page.

    python -m benchmarks.population build [HALF]   tokenizers, models, fine-tunes and their checks
    python -m benchmarks.population judge [HALF]   by references drawn by chance; of the reporting
                                                   half the results are those of the page
    python -m benchmarks.population gate [HALF]    the same through the product, with the share of
                                                   the texts that it holds out
    python -m benchmarks.population fine-tunes [HALF]  the same by references of which half, or
                                                   all, are fine-tunes themselves
    python -m benchmarks.population page           the tables of docs/how-to/another-model-family.md

HALF is development or reporting, by default both for build and the reporting one for the others.
CROSSDIFF_POPULATION names the folder where models are kept instead of the user's cache folder.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.documents import write_blocks
from benchmarks.population import judging, page
from benchmarks.population.bases import COUNTS, bases
from benchmarks.population.by_gate import Gate
from benchmarks.population.family import Family
from benchmarks.population.fine_tuned_references import by_fine_tunes
from benchmarks.population.fine_tunes import IN_BASES, fine_tunes
from benchmarks.records import write_tables

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.records import Record


def main(arguments: list[str]) -> None:
    """Run the step asked for."""
    torch.set_num_threads(1)
    step, *halves = arguments
    if step == "page":
        write_blocks(page.tables())
        return
    family = Family()
    for half in halves or (COUNTS if step == "build" else ["reporting"]):
        if step == "build":
            for base in bases(half):
                family.base(base)
            made = [*fine_tunes(half)]
            # One of each kind first, so that an interrupted run has something of everything.
            for fine_tune in sorted(made, key=lambda t: made.index(t) % IN_BASES):
                family.fine_tune(fine_tune)
        elif step == "gate":
            _judge_by_gate(family, half)
        elif step == "fine-tunes":
            found = {"mixes": [*by_fine_tunes(Gate(family, half))]}
            _write(_results(family, half, page.BY_FINE_TUNES), found)
        else:
            _judge(family, half)


def _judge(family: Family, half: str) -> None:
    of = judging.Population(family, half)
    facts = {
        "models": len(of.row),
        "spans": of.spans.size,
        "documents": len(np.unique(of.spans.piece_s)),
        "features": of.features.size,
    }
    found = {
        "facts": [facts],
        "fine-tuned": [*judging.fine_tuned(of)],
        "unplanted": [*judging.unplanted(of)],
        "other": [*judging.other_kinds(of)],
    }
    _write(_results(family, half, page.RESULTS), found)


def _judge_by_gate(family: Family, half: str) -> None:
    of = Gate(family, half)
    found = {"fine-tuned": [*judging.fine_tuned(of)], "unplanted": [*judging.unplanted(of)]}
    _write(_results(family, half, page.BY_GATE), {"facts": [of.facts], **found})


def _results(family: Family, half: str, path: Path) -> Path:
    """The committed file of the reporting half; of the development half one beside the models."""
    return path if half == "reporting" else family.root / f"{half}-{path.name}"


def _write(path: Path, found: dict[str, list[Record]]) -> None:
    write_tables(path, found)
    for table, rows in found.items():
        for row in rows:
            print(table, row, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
