"""Which features to name: those that explain most of what deviates.

A model that learnt one kind of text deviates in its slice and in every word that is frequent there,
in some of these words by more standard deviations than in the slice.  The slice explains the words,
but no word explains the slice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pytest_crossdiff.engine.population.weightings import Array, Weightings

EXPECTED = 2.0
"""Standard deviations that need no explanation."""
CANDIDATES = 60
"""Features of the largest |z| that may be named."""


def explaining(weightings: Weightings, shift_f: Array, scale_f: Array, count: int) -> list[int]:
    """`count` features, each of which explains most of what the earlier ones leave.

    A feature explains the squares of |z| in excess of `EXPECTED` that vanish, over all features,
    when its shift is taken from the spans that it shares with them.  Where nothing is in excess,
    the feature with the largest |z| comes first.
    """
    left_f = shift_f.copy()
    candidates = np.argsort(-np.abs(_z(left_f, scale_f)), kind="stable")[:CANDIDATES]
    shares_cf = np.stack([weightings.shares_in(f) for f in candidates.tolist()])
    free_c = np.ones(len(candidates), dtype=bool)
    found: list[int] = []
    for _ in range(min(count, len(candidates))):
        taken_cf = shares_cf * left_f[candidates][:, None]
        explained_c = _excess(left_f, scale_f) - _excess(left_f - taken_cf, scale_f)
        own_c = np.abs(_z(left_f, scale_f))[candidates]
        best = int(np.lexsort((own_c, np.maximum(explained_c, 0.0), free_c))[-1])
        free_c[best] = False
        found.append(int(candidates[best]))
        left_f = left_f - taken_cf[best]
    return found


def _z(shift_f: Array, scale_f: Array) -> Array:
    found: Array = shift_f / np.where(shift_f == 0, 1.0, scale_f)
    return found


def _excess(shift_f: Array, scale_f: Array) -> Array:
    found: Array = np.square(np.maximum(np.abs(_z(shift_f, scale_f)) - EXPECTED, 0.0)).sum(-1)
    return found
