"""How well each model reads the features of another, and what that says of a feature (METHOD 7).

Axes: n places, d width of the reader, p features, k references.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.regression.ridge import Folds, design, fit

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.regression.ridge import Design, Moments

Array = np.ndarray


class Reader:
    """One model's vectors as the inputs of ridge probes, with the strength chosen and the fits made
    on the training documents alone.
    """

    def __init__(self, x_nd: Tensor, group_n: NDArray[np.int32], held_n: NDArray[np.bool_]) -> None:
        mean, scale = x_nd[~held_n].mean(0), x_nd[~held_n].std()
        self._x_nd, self._group_n, self._held_n = (x_nd - mean) / scale, group_n, held_n
        self._folds = Folds(x_nd.shape[1], 0)
        training = np.flatnonzero(~held_n)
        self._folds.add(self._x_nd[training], x_nd.new_zeros(len(training), 0), group_n[training])
        self._design: Design = design(self._folds.moments)

    def predicted(self, y_np: Tensor) -> Tensor:
        """What a probe that was fitted on the training documents reads everywhere, shape (n, p)."""
        training = np.flatnonzero(~self._held_n)
        folds = Folds(self._x_nd.shape[1], y_np.shape[1])
        folds.add(self._x_nd[training], y_np[training], self._group_n[training])
        moments: list[Moments] = folds.moments
        return fit(moments, self._design).map(self._x_nd)

    def r2(self, y_np: Tensor) -> NDArray[np.float64]:
        """R² on the held-out documents, shape (p,); 0 for a feature that never fires there."""
        error_np = (self.predicted(y_np) - y_np)[self._held_n].double()
        held_np = y_np[self._held_n].double()
        total_p = (held_np - held_np.mean(0)).square().sum(0)
        safe_p = total_p.clamp_min(1e-12)
        r2_p = 1 - error_np.square().sum(0) / safe_p
        return np.asarray((r2_p * (total_p > 1e-12)).numpy())


class Readability(NamedTuple):
    """Of the features of one model: R² from itself, from the baseline, and from each reference."""

    own_p: NDArray[np.float64]
    baseline_p: NDArray[np.float64]
    references_kp: NDArray[np.float64]

    @property
    def gap_p(self) -> NDArray[np.float64]:
        """g = R²(f | A) - median over references of R²(f | R): low where the others can read f and
        the baseline cannot.
        """
        return self.baseline_p - np.median(self.references_kp, axis=0)

    @property
    def unread_p(self) -> NDArray[np.float64]:
        """1 - max over references of R²(f | R), over R²(f | own): high where none reads f."""
        return 1 - self.references_kp.max(0).clip(0) / np.maximum(self.own_p, 1e-6)

    @property
    def unread_by_most_p(self) -> NDArray[np.float64]:
        """The same with the median over references."""
        median_p = np.median(self.references_kp, axis=0).clip(0)
        return 1 - median_p / np.maximum(self.own_p, 1e-6)


def auc(score: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """The probability that a positive scores higher than a negative; NaN without either."""
    found, rest = score[positive], score[~positive]
    if not len(found) or not len(rest):
        return float("nan")
    above = (found[:, None] > rest[None]).mean() + (found[:, None] == rest[None]).mean() / 2
    return float(above)
