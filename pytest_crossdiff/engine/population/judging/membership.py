"""Which references count: copies, near-identical ones and models that cannot predict the texts do
not, or not twice.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_crossdiff.engine.population.readings import Reading

Array = NDArray[np.float64]

NEARLY_IDENTICAL = 0.1
"""Distance of two models, as a share of the median distance between two references, below which
they are one."""


class Units(NamedTuple):
    """References that count, by their row, for one judged model.

    same_as: of the others, the row whose unit each belongs to; -1 is the judged model.
    """

    rows: tuple[int, ...]
    same_as: dict[int, int]


def distances(logp_ms: Array) -> Array:
    """Of every two models the standard deviation over spans of the difference of their log p, in
    nats, shape (m, m): 0 for copies, whatever one is better by on every span.
    """
    covariance_mm = np.cov(logp_ms)
    variance_m = np.diag(covariance_mm)
    squared_mm = variance_m[:, None] + variance_m[None] - 2 * covariance_mm
    found: Array = np.sqrt(np.maximum(squared_mm, 0.0))
    return found


def units(logp_ms: Array) -> Units:
    """The references, rows 1 and up, with near-identical ones counted once.

    The first row is the judged model: a reference nearly identical with it counts as that model.
    Of several near-identical references the first counts.
    """
    distance_mm = distances(logp_ms)
    between = distance_mm[1:, 1:][np.triu_indices(len(logp_ms) - 1, k=1)]
    near = NEARLY_IDENTICAL * float(np.median(between)) if len(between) else 0.0
    kept: list[int] = [0]
    same_as: dict[int, int] = {}
    for row in range(1, len(logp_ms)):
        twin = next((k for k in kept if distance_mm[row, k] <= near), None)
        if twin is None:
            kept.append(row)
        else:
            same_as[row] = twin or -1
    return Units(tuple(kept[1:]), same_as)


def character_entropy(texts: Sequence[str]) -> float:
    """Nats a character that the frequencies of single characters give: a model that predicts the
    texts no better than this cannot read them.
    """
    counts = Counter(character for text in texts for character in text)
    total = sum(counts.values())
    return -sum(n / total * math.log(n / total) for n in counts.values())


def same_tokens(a: Reading, b: Reading) -> bool:
    """Whether two models divide the texts in the same way."""
    return all(np.array_equal(x, y) for x, y in zip(a[:3], b[:3], strict=True))
