"""The figures that the method is to reach, side by side with what was measured, at the head of
`docs/evidence/index.md`.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from benchmarks.documents import DOCS
from benchmarks.organisms import collected
from benchmarks.organisms.pages.rows import HOOK_POINTS, alarm, any_of, measured
from benchmarks.organisms.pages.scores import rate
from benchmarks.organisms.pages.seeds import unchanged
from benchmarks.real.pairs import measured_upgrades
from benchmarks.toy import page as toy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PAGE = DOCS / "evidence" / "index.md"
TOLERANCE = 0.2
"""How far the measured strength of a signal may be off."""
DEFAULTS = {("innovation", 0.2, 0.5), ("dfc", 0.05, 1), ("standard", 0.05, 1)}
"""Kind of dictionary, share of either exclusive part, features of it on a token: as published, and
the product's.
"""
SAME = ("minilm-int8", "smollm2-turned", "quire-031-032")
"""Real pairs in which nothing differs but the numbers."""


def tables() -> dict[tuple[Path, str], str]:
    """The generated block, by page and name."""
    return {(PAGE, "glance"): glance(collected.read(), measured_upgrades())}


def glance(c: dict[str, Any], real: dict[str, dict[str, Any]]) -> str:
    """The table.  c: the organisms' results.  real: the records of the real pairs."""
    rows = [
        ["toy: planted concepts found at 1 false positive, of 32 (bend 0.5, dictionary too small)",
         "twice `dfc`, 2.5 times `standard`", _toy()],
        ["differences reported between real models and their rounded or rotated copies", "0",
         _same(real)],
    ]  # fmt: skip
    for read, name in HOOK_POINTS.items():
        planted, benign = (
            rate([any_of(r, read, alarm) for r in measured(c["organisms"], "reporting",
                                                           planted=p, read=read)])
            for p in (True, False)
        )  # fmt: skip
        rows.append([f"planted upgrades detected, comparing {name}", "95 %", str(planted)])
        rows.append(
            [f"false positives among benign upgrades, comparing {name}", "2 %", str(benign)]
        )
    for read, found in c["other_seeds"].items():
        name = f"verdict unchanged with other dictionaries, comparing {HOOK_POINTS[read]}"
        rows.append([name, "95 %", str(rate(unchanged(c["organisms"], read, found)))])
    rows += [[f"measured strength of a planted signal, {where}", "within 20 %", text]
             for where, text in _signal_strengths(c["planted_signals"])]  # fmt: skip
    return tabulate(rows, ["figure", "target", "measured"], tablefmt="github",
                    disable_numparse=True)  # fmt: skip


def _toy() -> str:
    found = {
        cell.architecture: sum(s.found_at_one_false_positive for s in cell.scores)
        / len(cell.scores)
        for cell in toy.measured()
        if (cell.world, cell.size, cell.judged) == ("as described", 160, "mlp")
        and (cell.architecture, cell.share, cell.k_own) in DEFAULTS
    }
    default = found.pop("innovation")
    return f"{default:.1f}; " + ", ".join(f"`{name}` {value:.1f}" for name, value in found.items())


def _same(real: dict[str, dict[str, Any]]) -> str:
    there = [g for name, g in real.items() if name.removesuffix("-output") in SAME]
    reported = sum(
        sum(g[certainty].values()) for g in there for certainty in ("confirmed", "possible")
    )
    return f"{reported} in {len(there)} pairs"


def _signal_strengths(found: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Of each place where models are read, the median of what signals came out at, by rung."""
    rows = []
    for read in ("gate", "output"):
        of = [s for s in found if s["read"] == read and s["ratios"]]
        medians = [median(s["ratios"]) for s in of]
        near = sum(abs(m - 1) <= TOLERANCE for m in medians)
        ends = f"medians {min(medians):.2f} to {max(medians):.2f} of the planted strength"
        rows.append((HOOK_POINTS[read], f"{near} of {len(of)} kinds of signals; {ends}"))
    return rows
