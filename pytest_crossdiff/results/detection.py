"""The limit of detection: the strength that is found with 80 % probability, from a few signals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

PROBABILITY = 0.8
WIDTHS = 0.4, 0.8
"""Of the curve, in log strength: how much stronger than the half-way point a signal has to be,
by a factor of e^width, to be found with 73 % instead of 50 %.  Both are as likely beforehand; 48
signals of one run (4 of 12 found at 0.003, 11 of 12 at 0.01) lie on a curve of about 0.35, and one
that is narrower makes the limit too high rather than too low.
"""
STEP, REACH = 0.05, 1.2
"""Of the half-way points in log strength: their distance, and how far they go beyond the ladder."""


@dataclass(frozen=True)
class DetectionLimit:
    """The strength found with 80 % probability on this share of the tokens, None where that is more
    than the strongest planted.
    """

    density: float
    strength: float | None


def detection_limit(found: Sequence[tuple[float, bool]]) -> float | None:
    """The least strength that is found with 80 % probability, after what became of some signals.

    found: the strength of each signal, above 0, and whether it was found.  The probability rises
    with the logarithm of the strength along a logistic curve, of which neither the half-way point
    nor the width is known: it is averaged over both, weighed by how well they explain what was
    found (a Bayesian prediction).  So with few signals the limit lies higher.  At least the weakest
    strength planted; None where it is above the strongest.
    """
    if not found:
        return None
    logs = [(math.log(strength), seen) for strength, seen in found]
    low, high = min(x for x, _ in logs), max(x for x, _ in logs)
    count = int((high - low + 2 * REACH) / STEP) + 1
    halves = [low - REACH + STEP * i for i in range(count)]
    curves = [(half, width) for half in halves for width in WIDTHS]
    likelihoods = [sum(_log_likelihood(x, seen, *curve) for x, seen in logs) for curve in curves]
    best = max(likelihoods)
    weights = [math.exp(likelihood - best) for likelihood in likelihoods]
    total = sum(weights)

    def probability(x: float) -> float:
        parts = (w * _share(x, *curve) for w, curve in zip(weights, curves, strict=True))
        return sum(parts) / total

    if probability(high) < PROBABILITY:
        return None
    below = low
    for _ in range(20):
        middle = (below + high) / 2
        below, high = (below, middle) if probability(middle) >= PROBABILITY else (middle, high)
    return float(f"{math.exp(high):.2g}")


def _log_likelihood(x: float, seen: bool, half: float, width: float) -> float:
    """Of one signal: log of the share, or of what is missing from 1."""
    away = (x - half) / width if seen else (half - x) / width
    return -math.log1p(math.exp(-away)) if away > -500.0 else away


def _share(x: float, half: float, width: float) -> float:
    """How often a signal of log strength `x` is found, by one curve."""
    return 1 / (1 + math.exp(min(500.0, (half - x) / width)))
