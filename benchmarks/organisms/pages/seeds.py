"""Tables of the reporting split with other dictionaries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from benchmarks.organisms.pages.rows import HOOK_POINTS, Rows, alarm, sides
from benchmarks.organisms.pages.scores import rate

if TYPE_CHECKING:
    from benchmarks.organisms.pages.scores import Rate


def unchanged(rows: Rows, read: str, found: dict[str, Any]) -> list[bool]:
    """Of each run with other dictionaries, whether its verdict is that of the first ones."""
    first = {r["name"]: r[read] for r in rows}
    return [g["status"] == first[key.split("@")[0]]["status"] for key, g in found.items()]


def other_seeds(rows: Rows, read: str, found: dict[str, Any]) -> str:
    """How often other dictionaries give another verdict than the first ones, where the gate reads
    so.
    """
    changed = []
    for r in rows:
        others = [g for key, g in found.items() if key.split("@")[0] == r["name"]]
        if any(g["status"] != r[read]["status"] for g in others):
            said = [f"{g['status']} {sides(g)}, {sides(g, 'possible')}" for g in [r[read], *others]]
            changed.append([r["name"], "planted" if r["planted"] else "benign", *said])
    same = rate(unchanged(rows, read, found))
    summary = f"In {HOOK_POINTS[read]} the verdict is the same in {same} of the "
    summary += "runs with three other dictionaries. "
    planted, benign = _rates(rows, {key: alarm(g) for key, g in found.items()})
    summary += f"They detect {planted} of the plants, and {benign} of the benign upgrades are "
    summary += "false positives."
    if not changed:
        return summary
    head = ["organism", "", *(f"dictionaries {n}" for n in range(1, len(changed[0]) - 1))]
    table = tabulate(changed, head, tablefmt="github", disable_numparse=True)
    return f"{summary} Where it differs (confirmed c/b, possible c/b):\n\n{table}"


def either_with_other_seeds(rows: Rows, found: dict[str, dict[str, Any]]) -> str:
    """What other dictionaries find where a block and the output are read."""
    both = found["gate"].keys() & found["output"].keys()
    alarms = {key: any(alarm(of[key]) for of in found.values()) for key in both}
    planted, benign = _rates(rows, alarms)
    return (
        f"Comparing a block and the output, other dictionaries detect {planted} of the plants, and "
        f"{benign} of the benign upgrades are false positives."
    )


def _rates(rows: Rows, alarms: dict[str, bool]) -> tuple[Rate, Rate]:
    """Of the planted organisms and of the benign ones, the share whose verdict is an alarm.

    alarms: by name of the organism and seed.
    """
    planted = {r["name"]: r["planted"] for r in rows}
    of_planted, of_benign = (
        rate([found for key, found in alarms.items() if planted[key.split("@")[0]] == kind])
        for kind in (True, False)
    )
    return of_planted, of_benign
