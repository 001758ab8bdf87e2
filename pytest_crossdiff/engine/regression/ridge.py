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

    from pytest_crossdiff.engine.sparse.kernels import ActiveFeatures

FOLDS = 4
"""Folds of the training documents in which a fit's strength is chosen."""
STRENGTHS = torch.logspace(-6, 2, 9, dtype=torch.float64)
"""Ridge strengths tried, in units of the mean variance of an input."""
PROBES = slice(3, None)
"""Those of them tried for probes: the map between two copies of a model may need less shrinkage, no
feature that can be read ever did."""


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
            zeros(targets, inputs).T,
            zeros(targets),
        )

    def add(self, x_td: Tensor, y_tp: Tensor) -> None:
        self.add_inputs(x_td)
        self.y_p += y_tp.sum(0, dtype=torch.float64)
        self.xy_dp += x_td.T @ y_tp
        self.yy_p += y_tp.double().square().sum(0)

    def add_inputs(self, x_td: Tensor) -> None:
        """Count tokens as far as the inputs go; `add_active` counts the targets."""
        self.count += x_td.shape[0]
        self.x_d += x_td.sum(0, dtype=torch.float64)
        self.xx_dd += x_td.T @ x_td

    def add_active(self, x_td: Tensor, active: ActiveFeatures) -> None:
        """Count targets that are 0 on most tokens."""
        value_n = active.value.double()
        self.y_p.index_add_(0, active.feature, value_n)
        self.yy_p.index_add_(0, active.feature, value_n.square())
        self.xy_dp += active.sums(x_td).T

    def __add__(self, other: Moments) -> Moments:
        return self._combine(other, operator.add)

    def __sub__(self, other: Moments) -> Moments:
        return self._combine(other, operator.sub)

    def _combine(self, other: Moments, with_: Callable[[Any, Any], Any]) -> Moments:
        made = Moments(0, 0)
        for name, value in vars(self).items():
            setattr(made, name, with_(value, getattr(other, name)))
        return made

    def centred_inputs(self, mean_x_d: Tensor) -> Tensor:
        """Sums of products of the inputs about the given mean, shape (d, d)."""
        xx = self.xx_dd - torch.outer(self.x_d, mean_x_d) - torch.outer(mean_x_d, self.x_d)
        return xx + self.count * torch.outer(mean_x_d, mean_x_d)

    def centred_targets(self, mean_x_d: Tensor, mean_y_p: Tensor) -> tuple[Tensor, Tensor]:
        """Sums of products with the targets about the given means: cross (d, p), targets (p,)."""
        n = self.count
        xy = self.xy_dp - torch.outer(self.x_d, mean_y_p) - torch.outer(mean_x_d, self.y_p)
        yy = self.yy_p - 2 * self.y_p * mean_y_p + n * mean_y_p.square()
        return xy + n * torch.outer(mean_x_d, mean_y_p), yy


def fold(group_n: NDArray[np.int32]) -> NDArray[np.int64]:
    """The cross-validation fold of each pair: all of a document's lie in one."""
    # Knuth's multiplicative hash: neighbouring documents fall into different folds.
    mixed = group_n.astype(np.uint64) * np.uint64(2654435761) % np.uint64(1 << 32)
    return np.asarray(mixed * np.uint64(FOLDS) >> np.uint64(32), dtype=np.int64)


def fold_masks(x_td: Tensor, group_t: NDArray[np.int32]) -> list[Tensor]:
    """Which tokens lie in each fold, masks of shape (t,)."""
    fold_t = torch.from_numpy(fold(group_t)).to(x_td.device)
    return [fold_t == i for i in range(FOLDS)]


class Folds:
    """Moments of each cross-validation fold of the documents."""

    def __init__(self, inputs: int, targets: int, device: torch.device | str = "cpu") -> None:
        self.moments = [Moments(inputs, targets, device) for _ in range(FOLDS)]

    def add(self, x_td: Tensor, y_tp: Tensor, group_t: NDArray[np.int32]) -> None:
        """Count tokens, each in the fold of its document group."""
        for moments, chosen in zip(self.moments, fold_masks(x_td, group_t), strict=True):
            moments.add(x_td[chosen], y_tp[chosen])

    def with_targets(self, targets: int) -> list[Moments]:
        """Moments of the same inputs, to which targets have yet to be added."""
        made = []
        for precomputed in self.moments:
            empty = Moments(0, targets, precomputed.x_d.device)
            empty.count, empty.x_d, empty.xx_dd = (
                precomputed.count,
                precomputed.x_d,
                precomputed.xx_dd,
            )
            empty.xy_dp = precomputed.xx_dd.new_zeros(targets, len(precomputed.x_d)).T
            made.append(empty)
        return made


def total(folds: Sequence[Moments]) -> Moments:
    """The moments of all folds together."""
    return functools.reduce(operator.add, folds)


class Design(NamedTuple):
    """What fits need of their inputs alone; fits of several sets of targets share it.

    whole: the basis of all folds.  left_out: for each fold that can be left out its place, the
    basis of the others, and its sums of products about their mean in that basis.
    """

    whole: _Basis
    left_out: list[tuple[int, _Basis, Tensor]]


class _Basis(NamedTuple):
    """Gives the fit of every strength s at once: vectors @ (vectors.T @ cross / (values + s))."""

    values_d: Tensor
    vectors_dd: Tensor
    mean_x_d: Tensor


def design(folds: Sequence[Moments]) -> Design:
    """Decompose the inputs of `folds`."""
    everything, parts = total(folds), []
    for i, left_out in enumerate(folds):
        if 0 < left_out.count < everything.count:
            basis = _basis(everything - left_out)
            inner_dd = left_out.centred_inputs(basis.mean_x_d)
            parts.append((i, basis, basis.vectors_dd.T @ inner_dd @ basis.vectors_dd))
    return Design(_basis(everything), parts)


class Fit(NamedTuple):
    """A ridge fit on all folds.

    r2_p: cross-validated, every document predicted by a fit on other folds.
    """

    map: LinearMap
    r2_p: Tensor


def fit(folds: Sequence[Moments], precomputed: Design | None = None) -> Fit:
    """Ridge regression, the strength of each target the one that predicts left-out folds best.

    precomputed: the design of the same inputs, where it is.
    """
    precomputed = precomputed or design(folds)
    everything, basis = total(folds), precomputed.whole
    strengths_l = _strengths(everything)[PROBES]
    errors_lp = everything.y_p.new_zeros(len(strengths_l), len(everything.y_p))
    for i, others, inner_dd in precomputed.left_out:
        inner = inner_dd.float()
        errors_lp += _errors(everything - folds[i], folds[i], others, inner, strengths_l)
    best_p = errors_lp.argmin(0)
    least_p = errors_lp.gather(0, best_p[None])[0]
    _, total_p = everything.centred_targets(basis.mean_x_d, everything.y_p / everything.count)
    return Fit(
        _map(everything, basis, strengths_l[best_p]),
        torch.where(total_p > 0, 1.0 - least_p / total_p.clamp_min(1e-30), 0.0),
    )


class JointFit(NamedTuple):
    """A ridge fit on all folds with one strength for all targets.

    error: summed squared error, every document predicted by a fit on other folds.
    """

    map: LinearMap
    error: float


def fit_jointly(folds: Sequence[Moments], precomputed: Design) -> JointFit:
    """Ridge regression, its strength the one that predicts all targets of left-out folds best;
    summed in fp64 throughout, as the map between two copies of a model needs.
    """
    everything = total(folds)
    strengths_l = _strengths(everything)
    errors_l = torch.zeros_like(strengths_l)
    for i, others, inner_dd in precomputed.left_out:
        errors_l += _summed_errors(everything - folds[i], folds[i], others, inner_dd, strengths_l)
    best = errors_l.argmin(0, keepdim=True)
    made = _map(everything, precomputed.whole, strengths_l[best])
    return JointFit(made, float(errors_l[best]))


def fit_on(training: Moments, validation: Moments) -> LinearMap:
    """The fit on `training` alone whose strength predicts each target best on `judging`."""
    basis, strengths_l = _basis(training), _strengths(training)[PROBES]
    inner_dd = validation.centred_inputs(basis.mean_x_d)
    inner_dd = (basis.vectors_dd.T @ inner_dd @ basis.vectors_dd).float()
    best_p = _errors(training, validation, basis, inner_dd, strengths_l).argmin(0)
    return _map(training, basis, strengths_l[best_p])


def _map(m: Moments, basis: _Basis, strength_p: Tensor) -> LinearMap:
    """The fit of one strength for each target."""
    mean_y_p = m.y_p / m.count
    cross_dp, _ = m.centred_targets(basis.mean_x_d, mean_y_p)
    rotated_dp = basis.vectors_dd.T @ (cross_dp / m.count)
    weight_dp = basis.vectors_dd @ (rotated_dp / (basis.values_d[:, None] + strength_p))
    return LinearMap(weight_dp.float(), (mean_y_p - basis.mean_x_d @ weight_dp).float())


def fit_map(folds: Sequence[Moments]) -> LinearMap:
    """The best map from one model's vectors to the other's: ridge shrunk towards zero or, where the
    widths agree and left-out text says so, towards the identity (METHOD 2, `innovation`).
    """
    inputs = design(folds)
    towards_zero = fit_jointly(folds, inputs)
    if folds[0].x_d.shape != folds[0].y_p.shape:
        return towards_zero.map
    change = fit_jointly([_minus_input(fold) for fold in folds], inputs)
    if change.error > towards_zero.error:
        return towards_zero.map
    identity = torch.eye(len(folds[0].x_d), device=change.map.bias_p.device)
    return LinearMap(change.map.weight_dp + identity, change.map.bias_p)


def _basis(m: Moments) -> _Basis:
    mean_x_d = m.x_d / m.count
    values_d, vectors_dd = torch.linalg.eigh(m.centred_inputs(mean_x_d) / m.count)
    return _Basis(values_d.clamp_min(0), vectors_dd, mean_x_d)


def _strengths(m: Moments) -> Tensor:
    """The strengths to try, shape (l,)."""
    variance_d = m.xx_dd.diagonal() / m.count - (m.x_d / m.count).square()
    return (STRENGTHS * max(float(variance_d.mean()), 1e-12)).to(m.x_d.device)


class _Rotated(NamedTuple):
    """What an error on left-out documents is made from, in the basis of the training documents:
    the fits' numerators cross_dp and twice the left-out products; yy_p: the left-out targets.
    """

    cross_dp: Tensor
    twice_dp: Tensor
    yy_p: Tensor


def _rotated(training: Moments, left_out: Moments, basis: _Basis, exact: torch.dtype) -> _Rotated:
    mean_y_p = training.y_p / training.count
    cross_dp, _ = training.centred_targets(basis.mean_x_d, mean_y_p)
    xy_dp, yy_p = left_out.centred_targets(basis.mean_x_d, mean_y_p)
    vectors_dd = basis.vectors_dd.to(exact)
    cross_dp = vectors_dd.T @ (cross_dp / training.count).to(exact)
    return _Rotated(cross_dp, vectors_dd.T @ (2 * xy_dp).to(exact), yy_p)


def _errors(
    training: Moments, left_out: Moments, basis: _Basis, inner_dd: Tensor, strengths_l: Tensor
) -> Tensor:
    """Squared errors on `left_out` of the fits on `training`, shape (l, p), in the precision of
    `inner_dd`, which is the left-out sums of products of the inputs in the basis.
    """
    exact = inner_dd.dtype
    cross_dp, twice_dp, yy_p = _rotated(training, left_out, basis, exact)
    values_d, errors = basis.values_d.to(exact), []
    for strength in strengths_l.tolist():
        w_dp = cross_dp / (values_d + strength)[:, None]
        errors.append(yy_p + (w_dp * (inner_dd @ w_dp - twice_dp)).sum(0))
    return torch.stack(errors)


def _summed_errors(
    training: Moments, left_out: Moments, basis: _Basis, inner_dd: Tensor, strengths_l: Tensor
) -> Tensor:
    """The sum of `_errors` over all targets, shape (l,): a fit is cross_dp with its rows shrunk by
    1 / (values + s), so one product serves every strength.
    """
    cross_dp, twice_dp, yy_p = _rotated(training, left_out, basis, inner_dd.dtype)
    square_dd, linear_d = inner_dd * (cross_dp @ cross_dp.T), (cross_dp * twice_dp).sum(1)
    shrunk_ld = 1 / (basis.values_d + strengths_l[:, None])
    return yy_p.sum() + ((shrunk_ld @ square_dd) * shrunk_ld).sum(1) - shrunk_ld @ linear_d


def _minus_input(m: Moments) -> Moments:
    """The moments of the targets y - x."""
    changed = Moments(0, 0)
    changed.count, changed.x_d, changed.xx_dd = m.count, m.x_d, m.xx_dd
    changed.y_p, changed.xy_dp = m.y_p - m.x_d, m.xy_dp - m.xx_dd
    changed.yy_p = m.yy_p - 2 * m.xy_dp.diagonal() + m.xx_dd.diagonal()
    return changed


def squared_error(linear: LinearMap, moments: Moments) -> float:
    """Summed squared error of `linear` on the data behind `moments`."""
    origin_d = torch.zeros_like(moments.x_d)
    xy_dp, yy_p = moments.centred_targets(origin_d, linear.bias_p.double())
    w_dp = linear.weight_dp.double()
    made_dp = moments.centred_inputs(origin_d) @ w_dp
    return float((yy_p - 2 * (w_dp * xy_dp).sum(0) + (w_dp * made_dp).sum(0)).sum())
