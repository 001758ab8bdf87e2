"""The gate on real upgrades.  What is measured already is left as it is.

    python -m benchmarks.real [PAIR...]

Records and cache lie where those of the organisms do (CROSSDIFF_ORGANISMS names another folder);
they are then put instead of the committed ones of the same pairs.
"""

from __future__ import annotations

import sys

from benchmarks.organisms.making.family import folder
from benchmarks.real.pairs import PAIRS, compare, write_upgrades
from benchmarks.records import Records


def main(*names: str) -> None:
    """Compare the named pairs, or all."""
    root = folder()
    root.mkdir(parents=True, exist_ok=True)
    records = Records(root / "real.jsonl")
    for name in names or PAIRS:
        if name not in records:
            records.add(name, compare(name, root / "cache"))
    write_upgrades(records)


if __name__ == "__main__":
    main(*sys.argv[1:])
