"""Is a feature of one model really missing from the other?  A test on held-out documents.

A feature is exclusive when no ridge probe reads its activation from the other model nearly as
well as from its own (METHOD 3):  e = 1 - R²(other) / R²(own).

Axes: t tokens, p tested features, g held-out document groups, r bootstrap draws.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytest_crossdiff.engine.regression.ridge import Folds, LinearMap, design, fit, fold_masks
from pytest_crossdiff.engine.sparse.kernels import build_active

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder
    from pytest_crossdiff.engine.regression.ridge import Design
    from pytest_crossdiff.engine.sparse.kernels import ActiveFeatures

DRAWS_PER_BATCH = 1_000
"""Bootstrap draws whose weights of the documents are held in memory at once."""
MIN_DOCUMENTS = 5
"""A feature that fires in fewer held-out documents can't be told from chance."""


class Sums(NamedTuple):
    """Sums over the tokens of each held-out document group: what every R² is made from.

    error_a_gp, error_b_gp: squared error of the probes from either model.  y_gp, yy_gp: the
    feature's activation and its square.  count_g: tokens.  fires_gp: tokens on which it fires.
    """

    error_a_gp: NDArray[np.float64]
    error_b_gp: NDArray[np.float64]
    y_gp: NDArray[np.float64]
    yy_gp: NDArray[np.float64]
    count_g: NDArray[np.float64]
    fires_gp: NDArray[np.float64]

    def of(self, part: NDArray[np.int64]) -> Sums:
        """Those of some of the features."""
        parts = (None if table.ndim == 1 else table[:, part] for table in self)
        return Sums(*(self.count_g if table is None else table for table in parts))

    def r2(
        self, weights_rg: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """R² from either model when group g counts weights_rg[r, g] times, shapes (r, p)."""
        total = weights_rg @ self.yy_gp
        total -= (weights_rg @ self.y_gp) ** 2 / np.maximum(weights_rg @ self.count_g, 1)[:, None]
        safe = np.where(total > 1e-12, total, np.inf)
        found = (weights_rg @ self.error_a_gp, weights_rg @ self.error_b_gp)
        r2_a, r2_b = (np.where(np.isinf(safe), 0.0, 1.0 - error / safe) for error in found)
        return r2_a, r2_b


class Exclusivity(NamedTuple):
    """The test's result for each feature, arrays of length p; `low`, `high` and `r2_own_low` are
    ends of 95 % intervals.
    """

    r2_own: NDArray[np.float64]
    r2_own_low: NDArray[np.float64]
    r2_other: NDArray[np.float64]
    estimate: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    p_value: NDArray[np.float64]
    documents: NDArray[np.int64]


class ScreeningResult(NamedTuple):
    """What the training documents say of every feature (cross-validated, so no feature is judged by
    a fit that saw the document), arrays of length m, and the probes for all of them.

    active: on the pairs of `Pairs.thinned`, of features that may be candidates (see `screen`).
    """

    from_a: LinearMap
    from_b: LinearMap
    r2_a_m: NDArray[np.float64]
    r2_b_m: NDArray[np.float64]
    active: ActiveFeatures

    def exclusivity(self, own_is_b_m: NDArray[np.bool_]) -> NDArray[np.float64]:
        return _exclusivity(self.r2_a_m, self.r2_b_m, own_is_b_m)


def _exclusivity(
    r2_a_m: NDArray[np.float64], r2_b_m: NDArray[np.float64], own_is_b_m: NDArray[np.bool_]
) -> NDArray[np.float64]:
    own = np.where(own_is_b_m, r2_b_m, r2_a_m)
    return ratio(own, np.where(own_is_b_m, r2_a_m, r2_b_m))


class ProbeInputs(NamedTuple):
    """What probes of every dictionary need of one model's vectors."""

    folds: Folds
    design: Design


@torch.no_grad()
def probe_inputs(pairs: Pairs, device: torch.device) -> tuple[ProbeInputs, ProbeInputs]:
    """Pass over the training documents without any features."""
    folds = [Folds(width, 0, device) for width in pairs.probe_widths()]
    for block, *inputs in pairs.blocks(pairs.training(), device):
        for of_side, x_td in zip(folds, pairs.probe_vectors(block, *inputs), strict=True):
            for moments, chosen in zip(
                of_side.moments, fold_masks(x_td, pairs.group_n[block]), strict=True
            ):
                moments.add_inputs(x_td[chosen])
    a, b = (ProbeInputs(of_side, design(of_side.moments)) for of_side in folds)
    return a, b


@torch.no_grad()
def screen(
    pairs: Pairs,
    model: Crosscoder,
    device: torch.device,
    inputs: tuple[ProbeInputs, ProbeInputs] | None = None,
    least_exclusivity: float = -math.inf,
) -> ScreeningResult:
    """Fit ridge probes from either model to every feature on the training documents.

    least_exclusivity: a feature of the shared part is a candidate above it only; where the others
    are active is not kept.
    """
    of_a, of_b = inputs or probe_inputs(pairs, device)
    m = model.config.features
    moments_a, moments_b = of_a.folds.with_targets(m), of_b.folds.with_targets(m)
    (rows, step), done, kept = pairs.thinned(), 0, []
    for block, x_a, x_b in pairs.blocks(pairs.training(), device):
        read_a, read_b = pairs.probe_vectors(block, x_a, x_b)
        for i, chosen in enumerate(fold_masks(x_a, pairs.group_n[block])):
            if not chosen.any():
                continue
            active = model.active(model.inputs(x_a[chosen], x_b[chosen]))
            moments_a[i].add_active(read_a[chosen], active)
            moments_b[i].add_active(read_b[chosen], active)
            place_n = (done + chosen.nonzero().flatten())[active.token]
            wanted = place_n % step == 0
            kept.append(
                (
                    (place_n[wanted] // step).int(),
                    active.feature[wanted].int(),
                    active.value[wanted],
                )
            )
        done += len(block)
        del x_a, x_b, read_a, read_b  # before the next block is read
    a, b = fit(moments_a, of_a.design), fit(moments_b, of_b.design)
    r2_a_m, r2_b_m = a.r2_p.cpu().numpy(), b.r2_p.cpu().numpy()
    own_is_b_m = model.owner_is_candidate().cpu().numpy()
    candidate_m = _exclusivity(r2_a_m, r2_b_m, own_is_b_m) > least_exclusivity
    shared = model.config.shared_slice
    candidate_m[: shared.start] = candidate_m[shared.stop :] = True
    active = _active(kept, torch.from_numpy(candidate_m).to(device), len(rows))
    return ScreeningResult(a.map, b.map, r2_a_m, r2_b_m, active)


def _active(
    kept: list[tuple[Tensor, Tensor, Tensor]], candidate_m: Tensor, tokens: int
) -> ActiveFeatures:
    """Where the candidates are active, of the parts of all features; empties `kept`."""
    place_n, feature_n, value_n = (torch.cat(parts) for parts in zip(*kept, strict=True))
    kept.clear()
    wanted = candidate_m[feature_n].nonzero().flatten()
    place_n, feature_n, value_n = place_n[wanted].long(), feature_n[wanted].long(), value_n[wanted]
    order = feature_n.argsort()
    return build_active(place_n[order], feature_n[order], value_n[order], tokens, len(candidate_m))


class SumsBuilder:
    """Gathers `Sums` block by block."""

    def __init__(self, groups: int, features: int) -> None:
        self._sums = [torch.zeros(groups, features, dtype=torch.float64) for _ in range(5)]
        self._count = torch.zeros(groups, dtype=torch.float64)

    def add(self, group_t: Tensor, f_tp: Tensor, from_a_tp: Tensor, from_b_tp: Tensor) -> None:
        """Count tokens of document groups `group_t` with activations and both probes' readings."""
        errors = (from_a_tp - f_tp).square(), (from_b_tp - f_tp).square()
        values = (*errors, f_tp, f_tp.square(), (f_tp > 0).float())
        for total, value in zip(self._sums, values, strict=True):
            total.index_add_(0, group_t, value.double().cpu())
        self._count.index_add_(0, group_t, torch.ones(len(group_t), dtype=torch.float64))

    def sums(self) -> Sums:
        error_a, error_b, y, yy, fires = (total.numpy() for total in self._sums)
        return Sums(error_a, error_b, y, yy, self._count.numpy(), fires)


def exclusivity(
    sums: Sums,
    owner_is_candidate_p: NDArray[np.bool_],
    *,
    threshold: float | NDArray[np.float64],
    draws: int,
    seed: int = 0,
    with_interval_p: NDArray[np.bool_] | None = None,
) -> Exclusivity:
    """Exclusivity of every feature with a 95 % interval and the p-value of "at most `threshold`",
    which may be one for each feature, from held-out documents.  How often the interval covers the
    truth is measured by benchmarks/toy/coverage.py.

    owner_is_candidate_p: whether feature p belongs to the candidate.  with_interval_p: of which
    features intervals are wanted; those of the others are all that is possible.
    """
    every = np.ones((1, len(sums.count_g)))
    r2_a, r2_b = (r2[0] for r2 in sums.r2(every))
    own, other = (
        np.where(owner_is_candidate_p, r2_b, r2_a),
        np.where(owner_is_candidate_p, r2_a, r2_b),
    )
    low, own_low, high = np.zeros((3, len(own)))
    high[:] = 1.0
    at = np.arange(len(own)) if with_interval_p is None else np.flatnonzero(with_interval_p)
    low[at], high[at], own_low[at] = _intervals(sums.of(at), owner_is_candidate_p[at], draws, seed)
    documents = (sums.fires_gp > 0).sum(0)
    p_value = _p_value(sums, owner_is_candidate_p, threshold, documents)
    return Exclusivity(own, own_low, other, ratio(own, other), low, high, p_value, documents)


def _intervals(
    sums: Sums, owner_is_candidate_p: NDArray[np.bool_], draws: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Both ends of the intervals of exclusivity, and the lower one of R²(own)."""
    groups, random = len(sums.count_g), np.random.default_rng(seed)
    drawn_pr, own_pr = np.empty((2, len(owner_is_candidate_p), draws))
    for start in range(0, draws, DRAWS_PER_BATCH):
        part = slice(start, min(start + DRAWS_PER_BATCH, draws))
        size = part.stop - part.start
        weights = random.multinomial(groups, np.full(groups, 1 / groups), size)
        drawn_a, drawn_b = sums.r2(weights.astype(np.float64))
        drawn_own = np.where(owner_is_candidate_p, drawn_b, drawn_a)
        own_pr[:, part] = drawn_own.T
        drawn_pr[:, part] = ratio(drawn_own, np.where(owner_is_candidate_p, drawn_a, drawn_b)).T
    own_pr.sort(axis=1)
    drawn_pr.sort(axis=1)
    documents = (sums.fires_gp > 0).sum(0)
    (low, high), (own_low, _) = (
        _interval_ends(drawn_pr, documents),
        _interval_ends(own_pr, documents),
    )
    return low, high, own_low


def _interval_ends(
    drawn_pr: NDArray[np.float64], documents_p: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both ends of the 95 % intervals, the drawn values being sorted.

    Percentiles of a bootstrap over n documents are too narrow by sqrt((n-1)/n) and by what parts
    Student's t from the normal distribution ("expanded percentile", Hesterberg 2015); n is the
    number of documents in which the feature fires, for the others tell next to nothing of it.
    """
    n = np.maximum(documents_p, 2)
    level = _normal_cdf(-np.sqrt(n / (n - 1)) * _student(1.959964, n - 1))
    last = drawn_pr.shape[1] - 1
    place_p = np.arange(len(drawn_pr))
    cut_p = np.rint(level * last).astype(np.int64)
    return drawn_pr[place_p, cut_p], drawn_pr[place_p, last - cut_p]


def _p_value(
    sums: Sums,
    owner_is_candidate_p: NDArray[np.bool_],
    threshold: float | NDArray[np.float64],
    documents_p: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The p-value of "exclusivity is at most `threshold`", as small as it may be: a share of draws
    can't be below one in their number, which is too much where many features are tested.

    e > threshold says that error(other) - (1 - threshold) error(own) - threshold * total variance
    is above 0, and that is a sum over documents: Student's t of its mean, for so many documents as
    the feature fires in, corrected for skewness (Hall 1992), without which it finds half as much.
    """
    mean_p = sums.y_gp.sum(0) / max(float(sums.count_g.sum()), 1.0)
    total_gp = sums.yy_gp - mean_p * (2 * sums.y_gp - mean_p * sums.count_g[:, None])
    own_gp = np.where(owner_is_candidate_p, sums.error_b_gp, sums.error_a_gp)
    other_gp = np.where(owner_is_candidate_p, sums.error_a_gp, sums.error_b_gp)
    margin_gp = other_gp - (1 - threshold) * own_gp - threshold * total_gp
    groups = len(margin_gp)
    spread_p = np.maximum(margin_gp.std(0, ddof=1), 1e-30)
    unit_p = margin_gp.mean(0) / spread_p
    skew_p = (((margin_gp - margin_gp.mean(0)) / spread_p) ** 3).mean(0)
    hall_p = unit_p + skew_p * unit_p**2 / 3 + skew_p**2 * unit_p**3 / 27 + skew_p / (6 * groups)
    t, f = np.sqrt(groups) * hall_p, np.maximum(documents_p, 2) - 1
    z = np.sign(t) * (8 * f + 1) / (8 * f + 3) * np.sqrt(f * np.log1p(t**2 / f))  # Wallace 1959
    return _normal_cdf(-z)


def _student(z: float, f: NDArray[np.int64]) -> NDArray[np.float64]:
    """The quantile of Student's t, f degrees of freedom, that goes with the normal's (Wallace)."""
    return np.sqrt(f * np.expm1((z * (8 * f + 3) / (8 * f + 1)) ** 2 / f))


def _normal_cdf(z: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(torch.special.ndtr(torch.from_numpy(z)).numpy())


def ratio(own: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exclusivity 1 - R²(other) / R²(own) within [0, 1]; 0 where its own model can't read it."""
    readable = own > 1e-6
    share = np.clip(other, 0.0, None) / np.where(readable, own, 1.0)
    return np.where(readable, np.clip(1.0 - share, 0.0, 1.0), 0.0)


def benjamini_hochberg(p_value: NDArray[np.float64], q: float) -> NDArray[np.bool_]:
    """Which hypotheses to reject at false discovery rate `q` (Benjamini & Hochberg 1995)."""
    order = np.argsort(p_value)
    passes = p_value[order] <= q * np.arange(1, len(order) + 1) / max(1, len(order))
    count = int(np.flatnonzero(passes)[-1]) + 1 if passes.any() else 0
    rejected = np.zeros(len(order), dtype=bool)
    rejected[order[:count]] = True
    return rejected
