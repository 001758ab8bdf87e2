"""How far each model is from the others in each feature (METHOD 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytest_crossdiff.engine.population.judging.weightings import InDocuments, Weightings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_crossdiff.engine.population.writing import Written

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

PRIOR_DEGREES = 4.0
"""Degrees of freedom of the prior that draws each feature's variance towards the median."""
LEAST_CONTINUATIONS = 5
"""Continuations of one model that have to contain a word."""
ANSCOMBE, POISSON_VARIANCE = 3 / 8, 1.0


class Deviations(NamedTuple):
    """Of each model in each feature, from the other models.

    shift_mf: its mean residual less the others' mean, in nats a span.  scale_mf: the standard
    deviation that the shift has when nothing differs.  z_mf: shift / scale.
    """

    shift_mf: Array
    scale_mf: Array

    @property
    def z_mf(self) -> Array:
        """0 where a model does not deviate at all, whatever the scale."""
        safe_mf = np.where(self.shift_mf == 0, 1.0, self.scale_mf)
        with np.errstate(divide="ignore"):
            return self.shift_mf / safe_mf

    @property
    def largest_m(self) -> Array:
        """The largest |z| of each model over all features."""
        found: Array = np.abs(self.z_mf).max(axis=1)
        return found

    def beside(self, other: Deviations) -> Deviations:
        """The same models in the features of both."""
        return Deviations(*(np.hstack(pair) for pair in zip(self, other, strict=True)))


def deviations(residual_ms: Array, weightings: Weightings, group_s: Indices) -> Deviations:
    """Judge every model by the others, each with itself left out.

    With D the weighted mean of a model's residuals over a feature, τ² the variance of D over the
    K other models (K - 1 degrees of freedom), drawn towards its median over features by a prior of
    `PRIOR_DEGREES`, and SE the standard error of the model's own D over documents:
    z = (D - mean of the others' D) / sqrt(τ² (1 + 1/K) + SE²).

    residual_ms: of at least three models.  group_s: the document of each span.
    """
    count = len(residual_ms)
    if count < 3:
        raise ValueError("two references at least are needed for a variance")
    documents, total_f = InDocuments.of(weightings, group_s), weightings.totals()
    mean_mf = np.stack([weightings.sums(residual_s) / total_f for residual_s in residual_ms])
    error_mf = np.stack(
        [
            documents.standard_errors(weightings, residual_s, mean_f)
            for residual_s, mean_f in zip(residual_ms, mean_mf, strict=True)
        ]
    )
    return left_out(mean_mf, error_mf)


def left_out(mean_mf: Array, error_mf: Array, least_variance: float = 0.0) -> Deviations:
    """The deviation of each model's mean from those of all others.

    error_mf: its standard error.  least_variance: of a mean between models, where it is known.
    """
    found = [_judged(mean_mf, error_mf, m, least_variance) for m in range(len(mean_mf))]
    return Deviations(np.stack([f[0] for f in found]), np.stack([f[1] for f in found]))


def _judged(
    mean_mf: Array, error_mf: Array, judged: int, least_variance: float
) -> tuple[Array, Array]:
    """The shift of one model from the others, and its scale."""
    others_kf = np.delete(mean_mf, judged, axis=0)
    count = len(others_kf)
    variance_f = others_kf.var(axis=0, ddof=1)
    degrees = count - 1
    shrunk_f = (PRIOR_DEGREES * np.median(variance_f) + degrees * variance_f) / (
        PRIOR_DEGREES + degrees
    )
    shrunk_f = np.maximum(shrunk_f, least_variance)
    scale_f = np.sqrt(shrunk_f * (1 + 1 / count) + np.square(error_mf[judged]))
    return mean_mf[judged] - others_kf.mean(axis=0), scale_f


class WrittenWords(NamedTuple):
    """Each model's deviation from the others in each word.

    words: in the deviations' order.  factor_m: brings a model's counts to the amount that the
    models write on average.
    """

    words: tuple[str, ...]
    deviations: Deviations
    factor_m: Array


def written_words(written: Sequence[Written]) -> WrittenWords:
    """Judge what every model writes by the others, each with itself left out.

    A word's count is the number of continuations that contain it, brought to the amount that the
    models write on average.  The shifts are on the scale 2 sqrt(count + 3/8), on which a Poisson
    count has the variance 1, whatever its mean (Anscombe 1948): rare and frequent words can be
    compared.  Every model is treated alike: the words are those that any one of the models writes
    often enough.
    """
    words = sorted(
        {w for of in written for w, n in of.continuations.items() if n >= LEAST_CONTINUATIONS}
    )
    if not words:
        nothing_mf = np.zeros((len(written), 0))
        return WrittenWords((), Deviations(nothing_mf, nothing_mf), np.ones(len(written)))
    amount_m = np.array([of.words for of in written], dtype=np.float64)
    factor_m = amount_m.mean() / np.maximum(amount_m, 1.0)
    count_mf = np.array([[of.continuations.get(w, 0) for w in words] for of in written])
    root_mf = root_of(count_mf * factor_m[:, None])
    found = left_out(root_mf, np.zeros_like(root_mf), POISSON_VARIANCE)
    return WrittenWords(tuple(words), found, factor_m)


def root_of(count: Array) -> Array:
    """The scale on which a Poisson count has the variance 1."""
    found: Array = 2 * np.sqrt(count + ANSCOMBE)
    return found


def counts_of(root: Array) -> Array:
    """The counts of such roots, at least 0."""
    found: Array = np.maximum(np.square(np.maximum(root, 0.0) / 2) - ANSCOMBE, 0.0)
    return found
