"""Whether something is more frequent in some tests than in others: a permutation test.

Axes: t tests, d differences.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

DRAWS = 10_000
"""Assignments that are tried where there are more; fewer are all tried."""
_CHUNK = 1_000


def association_p_values(
    rate_td: NDArray[np.float64], apart_t: NDArray[np.bool_], seed: int = 0
) -> NDArray[np.float64]:
    """For each difference the probability that its rates are, on average, as much higher in the
    tests `apart_t` than in the others if it did not matter which tests are apart.  Shape (d,).

    One-sided; exact where there are at most `DRAWS` ways to choose the tests, else by drawn ones
    with the actual choice among them (Phipson & Smyth 2010).  1 without tests on either side.
    """
    tests, chosen = len(apart_t), int(apart_t.sum())
    if not 0 < chosen < tests:
        return np.ones(rate_td.shape[1])
    # With the number of chosen tests fixed, the sum over them orders as the difference of means.
    actual_d = rate_td[apart_t].sum(0)
    exact = math.comb(tests, chosen) <= DRAWS
    chunks = _all(tests, chosen) if exact else _drawn(tests, chosen, seed)
    tolerance_d = 1e-12 * (1.0 + np.abs(actual_d))
    reached_d, tried = np.zeros(rate_td.shape[1]), 0
    for chosen_nt in chunks:
        sums_nd = rate_td[chosen_nt].sum(1)
        reached_d += (sums_nd >= actual_d - tolerance_d).sum(0)
        tried += len(chosen_nt)
    return reached_d / tried if exact else (1 + reached_d) / (1 + tried)


def _all(tests: int, chosen: int) -> Iterator[NDArray[np.int64]]:
    """Every choice of so many tests, as rows of their numbers, in blocks."""
    rest = itertools.combinations(range(tests), chosen)
    while block := list(itertools.islice(rest, _CHUNK)):
        yield np.array(block)


def _drawn(tests: int, chosen: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """`DRAWS` choices at random: the tests with the smallest of random numbers."""
    draw = np.random.default_rng(seed)
    for _ in range(DRAWS // _CHUNK):
        order_nt = np.argpartition(draw.random((_CHUNK, tests)), chosen - 1, axis=1)
        yield order_nt[:, :chosen]
