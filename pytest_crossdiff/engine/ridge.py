"""Ridge regression from streamed second moments, its strength by cross-validation.

Axes: t tokens, d inputs, p targets, l strengths tried.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

FOLDS = 4
"""Folds of the training documents in which a fit's strength is chosen."""
STRENGTHS = torch.logspace(-6, 2, 9, dtype=torch.float64)
"""Ridge strengths tried, in units of the mean variance of an input."""


class LinearMap(NamedTuple):
    """y = x @ weight_dp + bias_p."""

    weight_dp: Tensor
    bias_p: Tensor

    def __call__(self, x_td: Tensor) -> Tensor:
        return x_td @ self.weight_dp + self.bias_p


class Moments:
    """Running sums that a ridge fit needs: block products in fp32, their sums in fp64."""

    def __init__(self, inputs: int, targets: int, device: torch.device | str = "cpu") -> None:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(*shape, dtype=torch.float64, device=device)

        self.count = 0
        self.x_d, self.y_p = zeros(inputs), zeros(targets)
        self.xx_dd, self.xy_dp, self.yy_p = (
            zeros(inputs, inputs),
            zeros(inputs, targets),
            zeros(targets),
        )

    def add(self, x_td: Tensor, y_tp: Tensor) -> None:
        self.count += x_td.shape[0]
        self.x_d += x_td.sum(0, dtype=torch.float64)
        self.y_p += y_tp.sum(0, dtype=torch.float64)
        self.xx_dd += x_td.T @ x_td
        self.xy_dp += x_td.T @ y_tp
        self.yy_p += y_tp.double().square().sum(0)

    def __add__(self, other: Moments) -> Moments:
        return self._combine(other, operator.add)

    def __sub__(self, other: Moments) -> Moments:
        return self._combine(other, operator.sub)

    def _combine(self, other: Moments, with_: Callable[[Any, Any], Any]) -> Moments:
        made = Moments(0, 0)
        for name, value in vars(self).items():
            setattr(made, name, with_(value, getattr(other, name)))
        return made

    def centred(self, mean_x_d: Tensor, mean_y_p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sums of products about the given means: inputs (d, d), cross (d, p), targets (p,)."""
        n = self.count
        xx = self.xx_dd - torch.outer(self.x_d, mean_x_d) - torch.outer(mean_x_d, self.x_d)
        xy = self.xy_dp - torch.outer(self.x_d, mean_y_p) - torch.outer(mean_x_d, self.y_p)
        yy = self.yy_p - 2 * self.y_p * mean_y_p + n * mean_y_p.square()
        return (
            xx + n * torch.outer(mean_x_d, mean_x_d),
            xy + n * torch.outer(mean_x_d, mean_y_p),
            yy,
        )


def fold(group_n: NDArray[np.int32]) -> NDArray[np.int64]:
    """The cross-validation fold of each pair: all of a document's lie in one."""
    # Knuth's multiplicative hash: neighbouring documents fall into different folds.
    mixed = group_n.astype(np.uint64) * np.uint64(2654435761) % np.uint64(1 << 32)
    return np.asarray(mixed * np.uint64(FOLDS) >> np.uint64(32), dtype=np.int64)


class Folds:
    """Moments of each cross-validation fold of the documents."""

    def __init__(self, inputs: int, targets: int, device: torch.device | str = "cpu") -> None:
        self.moments = [Moments(inputs, targets, device) for _ in range(FOLDS)]

    def add(self, x_td: Tensor, y_tp: Tensor, group_t: NDArray[np.int32]) -> None:
        """Count tokens, each in the fold of its document group."""
        fold_t = torch.from_numpy(fold(group_t)).to(x_td.device)
        for i, moments in enumerate(self.moments):
            chosen = fold_t == i
            moments.add(x_td[chosen], y_tp[chosen])


def total(folds: Sequence[Moments]) -> Moments:
    """The moments of all folds together."""
    return functools.reduce(operator.add, folds)


class Fit(NamedTuple):
    """A ridge fit on all folds.

    r2_p: cross-validated, every document predicted by a fit on other folds.  error: summed squared
    error of the same predictions.
    """

    map: LinearMap
    r2_p: Tensor
    error: float


def fit(folds: Sequence[Moments], *, joint: bool = False) -> Fit:
    """Ridge regression, its strength the one that predicts the left-out folds best.

    joint: one strength for all targets (a map between models) instead of one each (probes).
    """
    everything = total(folds)
    strengths_l = STRENGTHS * _variance(everything)
    errors_lp = torch.zeros(len(strengths_l), len(everything.y_p), dtype=torch.float64)
    errors_lp = errors_lp.to(everything.y_p.device)
    for left_out in folds:
        if 0 < left_out.count < everything.count:
            errors_lp += _errors(everything - left_out, left_out, strengths_l)
    best_p = (errors_lp.sum(1, keepdim=True).expand_as(errors_lp) if joint else errors_lp).argmin(0)
    least_p = errors_lp.gather(0, best_p[None])[0]
    path = _path(everything)
    weight = path.vectors @ (path.cross_dp / (path.values_d[:, None] + strengths_l[best_p]))
    _, _, total_p = everything.centred(path.mean_x_d, path.mean_y_p)
    return Fit(
        LinearMap(weight.float(), (path.mean_y_p - path.mean_x_d @ weight).float()),
        torch.where(total_p > 0, 1.0 - least_p / total_p.clamp_min(1e-30), 0.0),
        float(least_p.sum()),
    )


def fit_map(folds: Sequence[Moments]) -> LinearMap:
    """The best map from one model's vectors to the other's: ridge shrunk towards zero or, where the
    widths agree and left-out text says so, towards the identity (METHOD 2, `innovation`).
    """
    towards_zero = fit(folds, joint=True)
    if folds[0].x_d.shape != folds[0].y_p.shape:
        return towards_zero.map
    change = fit([_minus_input(fold) for fold in folds], joint=True)
    if change.error > towards_zero.error:
        return towards_zero.map
    identity = torch.eye(len(folds[0].x_d), device=change.map.bias_p.device)
    return LinearMap(change.map.weight_dp + identity, change.map.bias_p)


class _Path(NamedTuple):
    """What gives the fit of every strength at once: weight = vectors @ (cross / (values + s))."""

    values_d: Tensor
    vectors: Tensor
    cross_dp: Tensor
    mean_x_d: Tensor
    mean_y_p: Tensor


def _path(m: Moments) -> _Path:
    mean_x, mean_y = m.x_d / m.count, m.y_p / m.count
    xx, xy, _ = m.centred(mean_x, mean_y)
    values, vectors = torch.linalg.eigh(xx / m.count)
    return _Path(values.clamp_min(0), vectors, vectors.T @ (xy / m.count), mean_x, mean_y)


def _variance(m: Moments) -> float:
    """Mean variance of an input."""
    spread = m.xx_dd.diagonal() / m.count - (m.x_d / m.count).square()
    return max(float(spread.mean()), 1e-12)


def _errors(training: Moments, left_out: Moments, strengths_l: Tensor) -> Tensor:
    """Squared errors on `left_out` of the fits on `training`, shape (l, p)."""
    path = _path(training)
    xx, xy, yy = left_out.centred(path.mean_x_d, path.mean_y_p)
    xx, xy = path.vectors.T @ xx @ path.vectors, path.vectors.T @ xy
    weights = (path.cross_dp / (path.values_d + s)[:, None] for s in strengths_l.tolist())
    return torch.stack([yy - 2 * (w * xy).sum(0) + (w * (xx @ w)).sum(0) for w in weights])


def _minus_input(m: Moments) -> Moments:
    """The moments of the targets y - x."""
    changed = Moments(0, 0)
    changed.count, changed.x_d, changed.xx_dd = m.count, m.x_d, m.xx_dd
    changed.y_p, changed.xy_dp = m.y_p - m.x_d, m.xy_dp - m.xx_dd
    changed.yy_p = m.yy_p - 2 * m.xy_dp.diagonal() + m.xx_dd.diagonal()
    return changed


def squared_error(linear: LinearMap, moments: Moments) -> float:
    """Summed squared error of `linear` on the data behind `moments`."""
    xx, xy, yy = moments.centred(torch.zeros_like(moments.x_d), linear.bias_p.double())
    w = linear.weight_dp.double()
    return float((yy - 2 * (w * xy).sum(0) + (w * (xx @ w)).sum(0)).sum())
