"""95 % intervals over documents, whose tokens are no independent observations.

Axes: g documents, n positions, r bootstrap draws.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pytest_crossdiff.results.output import Estimate

Array = NDArray[np.float64]
DRAWS, SEED = 2_000, 0
TAILS = 0.025, 0.975
MIN_DOCUMENTS = 10
"""Fewer have no interval."""


class Documents:
    """The document of each position, and bootstrap draws of documents.

    document_n: any number for each document.
    """

    def __init__(self, document_n: NDArray[np.integer]) -> None:
        _, self._document_n = np.unique(document_n, return_inverse=True)
        self.sizes_g: Array = np.bincount(self._document_n).astype(np.float64)
        count = len(self.sizes_g)
        random = np.random.default_rng(SEED)
        shares = np.full(count, 1.0 / max(count, 1))
        self._draws_rg = random.multinomial(count, shares, size=DRAWS).astype(np.float64)

    def __len__(self) -> int:
        return len(self.sizes_g)

    def sums(self, values_n: Array) -> Array:
        """Summed over the positions of each document, shape (g,)."""
        summed_g: Array = np.bincount(self._document_n, values_n, minlength=len(self)).astype(float)
        return summed_g

    def mean(self, values_n: Array) -> Estimate:
        """The mean over positions."""
        return self.ratio(self.sums(values_n), self.sizes_g)

    def ratio(self, above_g: Array, below_g: Array) -> Estimate:
        """Σ above / Σ below with the interval of the studentised bootstrap (bootstrap-t; Efron and
        Tibshirani 1993, section 12.5), which keeps its level for means of skewed values; at most as
        wide as the documents' own ratios reach.
        """
        value = float(above_g.sum() / below_g.sum())
        if len(above_g) < MIN_DOCUMENTS:
            return Estimate(value, None, None)
        error = float(_standard_error(above_g, below_g, np.ones((1, len(above_g))))[0])
        if error == 0.0:
            return Estimate(value, value, value)
        drawn_r = self._draws_rg @ above_g / np.maximum(self._draws_rg @ below_g, 1e-300)
        error_r = _standard_error(above_g, below_g, self._draws_rg)
        # A draw of documents that are all alike says nothing about how far the mean may be off.
        infinite_r = np.copysign(np.inf, drawn_r - value)
        t_r = np.where(error_r > 0, (drawn_r - value) / np.maximum(error_r, 1e-300), infinite_r)
        low_t, high_t = np.quantile(t_r, TAILS, method="inverted_cdf")
        each_g = above_g[below_g > 0] / below_g[below_g > 0]
        return Estimate(
            value,
            float(max(value - high_t * error, each_g.min())),
            float(min(value - low_t * error, each_g.max())),
        )

    def percentiles(self, values_n: Array, percentiles: tuple[float, ...]) -> dict[str, Estimate]:
        """Percentiles over positions, by their names, with percentile-bootstrap intervals."""
        order = np.argsort(values_n, kind="stable")
        sorted_n, document_n = values_n[order], self._document_n[order]
        shares = np.array(percentiles) / 100.0
        drawn_rq = np.empty((DRAWS, len(shares)))
        for r, draw_g in enumerate(self._draws_rg):
            total_n = np.cumsum(draw_g[document_n])
            at_q = np.searchsorted(total_n, shares * total_n[-1], side="left")
            drawn_rq[r] = sorted_n[np.minimum(at_q, len(sorted_n) - 1)]
        value_q = np.quantile(values_n, shares, method="inverted_cdf")
        low_q, high_q = np.quantile(drawn_rq, TAILS, axis=0)
        known = len(self) >= MIN_DOCUMENTS
        return {
            f"{percentile:g}": Estimate(
                float(value), float(low) if known else None, float(high) if known else None
            )
            for percentile, value, low, high in zip(
                percentiles, value_q, low_q, high_q, strict=True
            )
        }


def transformed(estimate: Estimate, function: np.ufunc) -> Estimate:
    """A rising function of an estimate, and of the ends of its interval."""
    low, high = estimate.low, estimate.high
    return Estimate(
        float(function(estimate.value)),
        None if low is None else float(function(low)),
        None if high is None else float(function(high)),
    )


def _standard_error(above_g: Array, below_g: Array, draws_rg: Array) -> Array:
    """Of Σ above / Σ below in each draw (linearised), shape (r,)."""
    count = len(above_g)
    total_r = np.maximum(draws_rg @ below_g, 1e-300)
    ratio_r = draws_rg @ above_g / total_r
    squares_r = (
        draws_rg @ np.square(above_g)
        - 2 * ratio_r * (draws_rg @ (above_g * below_g))
        + np.square(ratio_r) * (draws_rg @ np.square(below_g))
    )
    spread_r = np.maximum(squares_r, 0.0) * count / (count - 1)
    # Sums of equal terms leave rounding behind.
    scale_r = draws_rg @ np.square(above_g) + 1e-300
    exact_r = np.where(squares_r <= 1e-12 * scale_r, 0.0, spread_r)
    error_r: Array = np.sqrt(exact_r) / total_r
    return error_r
