"""Totals and the table of families, from the results of a scan."""

from __future__ import annotations

import collections
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Row = dict[str, Any]


def rows_of(path: Path) -> list[Row]:
    """The results in a file; the last one of each class counts."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    latest = {(row["mapping"], row["family"], row["architecture"]): row for row in rows}
    return [*latest.values()]


def totals(rows: Sequence[Row]) -> str:
    """A line a mapping, and one of all."""
    lines = ["mapping | classes | built | blocks right | predictions right | wrong", "-|-|-|-|-|-"]
    by_mapping = collections.defaultdict(list)
    for row in rows:
        by_mapping[row["mapping"]].append(row)
    for name, part in [*by_mapping.items(), ("all", list(rows))]:
        built = [row for row in part if row["built"] is True]
        heads = [row for row in built if row.get("output") != "none"]
        wrong = sum("wrong" in (row.get("block"), row.get("output")) for row in built)
        lines.append(
            f"{name} | {len(part)} | {len(built)} | {_share(built, 'block')} | "
            f"{_share(heads, 'output')} | {wrong}"
        )
    return "\n".join(f"| {line} |" if "-|-" not in line else f"|{line}|" for line in lines)


def _share(rows: Sequence[Row], part: str) -> str:
    right = sum(row.get(part) == "right" for row in rows)
    return f"{right} of {len(rows)} ({100 * right / len(rows):.1f} %)" if rows else ""


def exceptions(rows: Sequence[Row]) -> str:
    """The classes of which not everything can be read, and why."""
    lines = ["| family | class | blocks | predictions | what is said |", "|-|-|-|-|-|"]
    for row in sorted(rows, key=lambda r: (r["family"], r["architecture"])):
        if row["built"] is not True:
            continue
        bad = [part for part in ("block", "output") if row.get(part) not in ("right", "none")]
        if bad:
            said = "; ".join(dict.fromkeys(str(row.get(f"{part}_note", "")) for part in bad))
            said = said.replace("|", "/")
            lines.append(
                f"| {row['family']} | `{row['architecture']}` | {row.get('block')} | "
                f"{row.get('output')} | {said} |"
            )
    return "\n".join(lines)


def special(rows: Sequence[Row]) -> str:
    """Families that are read in another way than most, as it was measured when they were loaded."""
    ways: dict[str, set[str]] = collections.defaultdict(set)
    for row in rows:
        if row.get("block") != "right":
            continue
        if row["batching"] != "padded":
            ways[f"{row['batching']} at a time: padding changes real tokens"].add(row["family"])
        if row["layout"][:2] != [0, 1]:
            ways["positions, width or parallel streams in another order"].add(row["family"])
        if ", " in row["blocks"]:
            ways["several lists of blocks that run in turn"].add(row["family"])
    return "\n".join(
        f"| {way} | {', '.join(sorted(found))} |" for way, found in sorted(ways.items())
    )
