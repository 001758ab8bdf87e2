"""Rates with intervals, and receiver operating characteristics.  No dependencies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

Z = 1.959963984540054
"""97.5 % point of the normal distribution."""
MAX_FALSE_POSITIVE_RATE = 0.02


class Rate(NamedTuple):
    """hits out of trials, with Wilson's 95 % interval."""

    hits: int
    trials: int
    low: float
    high: float

    def __str__(self) -> str:
        if not self.trials:
            return "none"
        share = self.hits / self.trials
        return f"{self.hits}/{self.trials} = {share:.0%} [{self.low:.0%}, {self.high:.0%}]"


def rate(found: Sequence[bool]) -> Rate:
    """The share of `found` that is true (Wilson 1927)."""
    n, hits = len(found), sum(found)
    if not n:
        return Rate(0, 0, 0.0, 1.0)
    p, z2 = hits / n, Z * Z
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Rate(hits, n, max(0.0, centre - half), min(1.0, centre + half))


def threshold(benign: Sequence[float], at_most: float = MAX_FALSE_POSITIVE_RATE) -> float:
    """The least threshold that no more than `at_most` of the benign scores exceed."""
    allowed = math.floor(at_most * len(benign))
    return sorted(benign, reverse=True)[allowed] if benign else -math.inf


def roc(planted: Sequence[float], benign: Sequence[float]) -> list[tuple[float, float]]:
    """Points (false positive rate, detection rate) from strict to lax."""
    cuts = sorted({*planted, *benign}, reverse=True)
    return [
        (0.0, 0.0),
        *((_share(benign, cut), _share(planted, cut)) for cut in cuts),
    ]


def _share(scores: Sequence[float], cut: float) -> float:
    return sum(s >= cut for s in scores) / max(1, len(scores))


def area(planted: Sequence[float], benign: Sequence[float]) -> float:
    """Area under the curve: how often a planted score beats a benign one, ties counting half."""
    wins = sum((p > b) + 0.5 * (p == b) for p in planted for b in benign)
    return wins / max(1, len(planted) * len(benign))
