"""Tail probabilities of Student's t distribution, without scipy."""

from __future__ import annotations

import math

MAX_TERMS, TINY, CLOSE = 500, 1e-300, 1e-14


def two_sided(t: float, degrees: float) -> float:
    """P(|T| ≥ |t|) for Student's t with so many degrees of freedom: the regularised incomplete beta
    function I_x(degrees / 2, 1 / 2) at x = degrees / (degrees + t²).
    """
    square = t * t
    if square < degrees:  # the complement loses no digits here
        return 1.0 - regularised_beta(square / (degrees + square), 0.5, degrees / 2)
    return regularised_beta(degrees / (degrees + square), degrees / 2, 0.5)


def regularised_beta(x: float, a: float, b: float) -> float:
    """I_x(a, b) for 0 ≤ x ≤ 1 by its continued fraction (Numerical Recipes, section 6.4)."""
    if x <= 0.0 or x >= 1.0:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast below only
        return 1.0 - regularised_beta(1.0 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    log_front += a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    """The continued fraction, by the modified method of Lentz."""
    c, d = 1.0, 1.0 / _away_from_zero(1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1.0 / _away_from_zero(1.0 + term * d)
            c = _away_from_zero(1.0 + term / c)
            change = c * d
            value *= change
        if abs(change - 1.0) < CLOSE:
            break
    return value


def _away_from_zero(value: float) -> float:
    return value if abs(value) > TINY else TINY
