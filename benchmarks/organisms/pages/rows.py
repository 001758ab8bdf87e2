"""What the sections read of an organism's row: which records count, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SPLITS = ("development", "earlier", "previous", "reporting")

HOOK_POINTS = {"gate": "a block", "output": "the output", "either": "both"}
"""What the gate compares; with both, one detection is enough."""

Rows = list[dict[str, Any]]


def measured(rows: Rows, split: str, *, planted: bool, read: str = "gate") -> Rows:
    """The organisms of a split that count: with a verdict, and with their plant in them."""
    return [
        r
        for r in rows
        if r["split"] == split
        and r["planted"] == planted
        and verdicts(r, read)
        and (not planted or r["built"]["worked"])
    ]


def verdicts(row: dict[str, Any], read: str) -> list[dict[str, Any]]:
    """The records of the gate that count where it reads so; none where one is missing."""
    found = [row.get(name) for name in (("gate", "output") if read == "either" else (read,))]
    return [r for r in found if r] if all(found) else []


def any_of(row: dict[str, Any], read: str, tell: Callable[[dict[str, Any]], bool]) -> bool:
    """Whether `tell` holds for one of the records that count where the gate reads so."""
    return any(tell(g) for g in verdicts(row, read))


def names_plant(row: dict[str, Any]) -> Callable[[dict[str, Any]], bool]:
    """Whether one of the row's records names its plant."""
    return lambda g: bool(row["named"]["gate" if g is row["gate"] else "output"])


def alarm(gate: dict[str, Any]) -> bool:
    """Whether the verdict is any other than `within`: detected, or a false positive."""
    return bool(gate["alarm"])


def confirmed(gate: dict[str, Any]) -> bool:
    return any(gate.get("confirmed", {}).values())


def sides(gate: dict[str, Any], certainty: str = "confirmed") -> str:
    found = gate.get(certainty)
    return f"{found['candidate']}/{found['baseline']}" if found else ""
