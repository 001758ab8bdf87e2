"""Build, measure, write down.  Everything that is there already is left as it is.

    python -m benchmarks.assistants build [--half HALF] [NAME...]     the copies and their checks
    python -m benchmarks.assistants measure [--half HALF] [NAME...]   the gate, and alternatives
    python -m benchmarks.assistants measure --layer output …          one layer, no alternatives
    python -m benchmarks.assistants workflow    model or workflow: what of a change is whose
    python -m benchmarks.assistants references  candidates judged by accepted fine-tunes
    python -m benchmarks.assistants page        results and docs/evidence/assistants.md

HALF is development, reporting, confirming (built later) or second (a second reporting half).
CROSSDIFF_ASSISTANTS names the folder where models, records and cache are kept instead of the user's
cache folder.
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import TYPE_CHECKING, get_args

from benchmarks.assistants.changes.behaviours import Half
from benchmarks.assistants.family import CHANGES, Family

if TYPE_CHECKING:
    from benchmarks.assistants.family import Change


def main(arguments: list[str] | None = None) -> None:
    """Run the step asked for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.assistants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("step", choices=("build", "measure", "workflow", "references", "page"))
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--half", choices=get_args(Half))
    parser.add_argument("--layer", choices=("block", "output"))
    given = parser.parse_intermixed_args(arguments)
    unknown = set(given.names) - {change.name for change in CHANGES}
    if unknown:
        known = ", ".join(change.name for change in CHANGES)
        parser.error(f"no copy is named {', '.join(sorted(unknown))}; there are {known}")
    chosen = [
        change
        for change in CHANGES
        if change.half == (given.half or change.half)
        and change.name in (given.names or [change.name])
    ]
    steps = {"build": _build, "workflow": _workflow, "page": _page, "references": _references}
    steps["measure"] = partial(_measure, layer=given.layer)
    steps[given.step](Family(), chosen)


def _build(family: Family, chosen: list[Change]) -> None:
    print(family.corpus, flush=True)
    for change in chosen:
        print(family.folder(change), flush=True)


def _measure(family: Family, chosen: list[Change], layer: str | None) -> None:
    from benchmarks.assistants.measure import measure

    for change in chosen:
        if family.usable(change):
            measure(family, change, layer)


def _workflow(family: Family, _: list[Change]) -> None:
    from benchmarks.assistants.workflow import measure

    measure(family)


def _references(family: Family, _: list[Change]) -> None:
    from benchmarks.assistants.references import measure

    measure(family)


def _page(family: Family, _: list[Change]) -> None:
    from benchmarks.assistants.page import write

    write(family)


if __name__ == "__main__":
    main()
