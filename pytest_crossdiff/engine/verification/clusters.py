"""From features to differences: features that fire together are one difference.

A dictionary splits one difference into copies, more or fewer with every seed, while their joint
strength stays; so clusters are what is counted (METHOD 3).

Axes: p features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_CORRELATION = 0.5
"""Activations that correlate above this belong to one difference."""
MIN_CONTAINMENT = 0.8
"""So do two features when this share of the rarer one's firing lies within the other's."""
DUPLICATE_CORRELATION = 0.7
"""Features of different models that correlate above this are one concept written twice."""


def cluster(
    correlation_pp: NDArray[np.float64], both_fire_pp: NDArray[np.float64]
) -> list[list[int]]:
    """Connected groups of features; both_fire_pp[i, j] counts tokens where both fire."""
    fires_p = np.maximum(both_fire_pp.diagonal(), 1)
    contained_pp = both_fire_pp / np.minimum(fires_p[:, None], fires_p)
    linked_pp = (correlation_pp > MIN_CORRELATION) | (contained_pp >= MIN_CONTAINMENT)
    free, found = set(range(len(fires_p))), []
    while free:
        group, edge = set[int](), {min(free)}
        while edge:
            group |= edge
            edge = {int(j) for i in edge for j in np.flatnonzero(linked_pp[i])} - group
        free -= group
        found.append(sorted(group))
    return found


def correlation(
    products_pp: NDArray[np.float64], sum_p: NDArray[np.float64], count: int
) -> NDArray[np.float64]:
    """Correlation of activations from their sums of products and their sums over `count` tokens; 0
    for a feature that never fires.
    """
    centred_pp = products_pp - np.outer(sum_p, sum_p) / count
    deviation_p = np.sqrt(np.maximum(centred_pp.diagonal(), 1e-24))
    return np.asarray(centred_pp / np.outer(deviation_p, deviation_p))


def duplicates(
    correlation_pp: NDArray[np.float64],
    owner_is_candidate_p: NDArray[np.bool_],
    of_p: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """For each feature in `of_p` the position of one of them in the other model that fires with it,
    or -1.
    """
    counts = of_p[:, None] & of_p & (owner_is_candidate_p[:, None] != owner_is_candidate_p)
    across = np.where(counts, correlation_pp, -1.0)
    if not len(across):
        return np.zeros(0, dtype=np.int64)
    partner = across.argmax(1)
    return np.where(across.max(1) > DUPLICATE_CORRELATION, partner, -1)
