"""`PYTHONPATH=tests python -m torture`: the long form; writes a table, code 1 if anything failed.

--short: as in CI, in seconds.  --only: parts, by name, separated by commas.  --scale: how many
times the attacks of the long form.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import HypothesisException

from torture import damage, kills, memory, places, rank_kills
from torture.boundaries import boundaries
from torture.runs import Pair
from torture.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from torture.boundaries import Boundary


class Part(NamedTuple):
    """short, long: how many attacks.  0: none."""

    attack: Callable[[Pair, Path, int, random.Random], Tally]
    short: int
    long: int


def fuzz(boundary: Boundary, _: Pair, folder: Path, count: int, __: random.Random) -> Tally:
    """So many malformed forms of what a boundary reads."""
    tally = Tally(f"{boundary.name}: read, or refused with one error")

    @settings(
        max_examples=count, deadline=None, database=None, suppress_health_check=[*HealthCheck]
    )
    @given(boundary.forms)
    def attack(form: object) -> None:
        tally.tried += 1
        tally.note("read" if boundary.refuses_or_reads(folder / "input", form) else "refused")

    try:
        attack()
    except HypothesisException as error:
        tally.problems.append(repr(error))
    except Exception as error:  # noqa: BLE001  that is what is looked for
        tally.problems.append(f"{type(error).__name__}: {str(error)[:200]}")
    return tally


PARTS = {
    "kills": Part(kills.killed_runs, 8, 300),
    "holders": Part(kills.killed_lock_holders, 1, 20),
    "ranks": Part(rank_kills.killed_ranks, 0, 50),
    "damage": Part(damage.damaged_entries, 40, 400),
    "shared": Part(places.shared, 6, 48),
    "disks": Part(places.full_disks, 2, 30),
    "read-only": Part(places.read_only, 1, 10),
    "memory": Part(memory.peak_memory, 0, 3),
    **{f"fuzz {of.name}": Part(partial(fuzz, of), 0, 2_000) for of in boundaries()},
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    wanted = [name for name in options.only.split(",") if name]
    problems = []
    print("| promise | attacks | held | of which |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as made:
        pair = Pair.made(Path(made) / "models")
        for name, part in PARTS.items():
            count = part.short if options.short else round(part.long * options.scale)
            if not count or (wanted and not any(name.startswith(one) for one in wanted)):
                continue
            folder = Path(made) / name.partition(" ")[0]
            folder.mkdir(exist_ok=True)
            began = time.perf_counter()
            tally = part.attack(pair, folder, count, random.Random(options.seed))
            print(f"{tally.row()} {time.perf_counter() - began:.0f} s |", flush=True)
            for problem in tally.problems:
                print(f"{name}: {problem}", file=sys.stderr, flush=True)
            problems += tally.problems
    print(f"{len(problems)} attacks were not withstood" if problems else "everything held")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
