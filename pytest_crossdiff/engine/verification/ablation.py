"""How much of a model's activations a feature, or a set of features, accounts for.

Strength (METHOD 4): the share of the owner's held-out variance that goes unexplained when the
features are removed.  With the residue r and contributions c = Σ f_i d_i it is
Σ_t (2 r·c + ‖c‖²) / Σ_t ‖x - mean‖², so two small tables give it for every set of features.

Axes: t tokens, p tested features.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pytest_crossdiff.engine.verification import clusters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, Inputs, Outputs
    from pytest_crossdiff.engine.sparse.kernels import ActiveFeatures


class Ablation:
    """Gathers what removing features would cost, block by block, for both models."""

    def __init__(self, model: Crosscoder, tested: Tensor, owner_is_candidate_p: Tensor) -> None:
        size = len(tested)
        self._cross_p = torch.zeros(size, dtype=torch.float64)  # Σ_t f_i r·d_i
        self._sum_p = torch.zeros(size, dtype=torch.float64)  # Σ_t f_i
        self._activation_products_pp = torch.zeros(size, size, dtype=torch.float64)  # Σ_t f_i f_j
        self._direction_products_pp = torch.zeros(size, size, dtype=torch.float64)  # d_i·d_j
        self._groups: list[_Group] = []
        scale_a, scale_b = (
            model.innovation_scale.tolist() if hasattr(model, "innovation_scale") else (1.0, 1.0)
        )
        for view in model.config.views:
            scale = 1.0 if view.target < 2 else (scale_a, scale_b)[view.target - 2]
            inside = (tested >= view.features.start) & (tested < view.features.stop)
            at = (inside & (owner_is_candidate_p == view.candidate)).nonzero().flatten()
            directions = model.directions(tested[at], candidate=view.candidate) * scale
            self._groups.append(_Group(view.target, at, directions, scale))
            where = at.cpu()
            self._direction_products_pp[where[:, None], where] = (
                (directions @ directions.T).double().cpu()
            )
        self._variance = [_Variance(), _Variance()]
        self._error = [0.0, 0.0]

    def add(self, active: ActiveFeatures, x: Inputs, errors: Outputs) -> None:
        """Count tokens with the tested features' activations, the inputs and the residues."""
        for target, at, directions, scale in self._groups:
            residual = errors[target]
            assert residual is not None
            cross = (active.sums(residual)[at] * directions).sum(1, dtype=torch.float64) * scale
            self._cross_p[at.cpu()] += cross.cpu()
        f_tp = active.dense()
        self._sum_p += f_tp.sum(0, dtype=torch.float64).cpu()
        self._activation_products_pp += (f_tp.T @ f_tp).double().cpu()
        for i, (vectors, error) in enumerate(((x.a_ta, errors.a_ta), (x.b_tb, errors.b_tb))):
            self._variance[i].add(vectors)
            self._error[i] += math.nan if error is None else float(error.double().square_().sum())

    def fve(self) -> tuple[float, float]:
        """Fraction of variance explained of the baseline and the candidate; NaN where nothing
        reconstructs them.
        """
        a, b = (1.0 - e / v.total() for e, v in zip(self._error, self._variance, strict=True))
        return a, b

    def norm(self, side: str) -> float:
        """Root-mean-square norm of the model's centred vectors: the unit of a peak."""
        return float(self._variance[int(side == "candidate")].mean() ** 0.5)

    def variance(self, side: str) -> float:
        """Summed squares of the model's centred vectors."""
        return self._variance[int(side == "candidate")].total()

    def direction_norms(self) -> NDArray[np.float64]:
        """Length of each tested feature's direction in its own model, shape (p,)."""
        return np.asarray(self._direction_products_pp.diagonal().sqrt())

    def directions(self, members: Sequence[int]) -> Tensor:
        """Directions of the tested features at positions `members`, all of one side, in the model's
        normalised units, shape (q, width), on the CPU.
        """
        rows = {
            int(p): row
            for group in self._groups
            for p, row in zip(group.at.tolist(), group.directions.detach().cpu(), strict=True)
        }
        return torch.stack([rows[p] for p in members])

    def select_features(self, positions: NDArray[np.int64]) -> Ablation:
        """The same for some of the tested features, given by their positions."""
        at, made = torch.from_numpy(positions), copy.copy(self)
        made._cross_p, made._sum_p = self._cross_p[at], self._sum_p[at]
        made._activation_products_pp, made._direction_products_pp = (
            table[at[:, None], at]
            for table in (self._activation_products_pp, self._direction_products_pp)
        )
        place_p = torch.full((len(self._cross_p),), -1)
        place_p[at] = torch.arange(len(at))
        made._groups = []
        for group in self._groups:
            places = place_p.to(group.at.device)[group.at]
            kept = places >= 0
            made._groups.append(group._replace(at=places[kept], directions=group.directions[kept]))
        return made

    def correlation(self) -> NDArray[np.float64]:
        """Of the tested features' activations, shape (p, p)."""
        count = self._variance[0].count
        return clusters.correlation(
            self._activation_products_pp.numpy(), self._sum_p.numpy(), count
        )

    def strengths(self, owner_is_candidate_p: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The strength of each tested feature by itself, shape (p,)."""
        unexplained_p = (
            2 * self._cross_p
            + self._activation_products_pp.diagonal() * self._direction_products_pp.diagonal()
        )
        return self._shares(unexplained_p, owner_is_candidate_p)

    def joint_strengths(self, owner_is_candidate_p: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The strength of each tested feature together with those that fire with it, shape (p,).

        Where k copies write the same thing, each by itself has a k²-th of what all of them have.
        """
        correlated_pp = torch.from_numpy(self.correlation() > clusters.MIN_CORRELATION)
        group_p = torch.zeros(len(correlated_pp), dtype=torch.long)
        for group in self._groups:
            group_p[group.at.cpu()] = group.target
        correlated_pp &= group_p[:, None] == group_p
        correlated_pp.fill_diagonal_(True)
        l_pp = correlated_pp.double()
        unexplained_p = 2 * (l_pp @ self._cross_p)
        unexplained_p += (
            (l_pp @ (self._activation_products_pp * self._direction_products_pp)) * l_pp
        ).sum(1)
        return self._shares(unexplained_p, owner_is_candidate_p)

    def _shares(
        self, unexplained_p: Tensor, owner_is_candidate_p: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """What is lost as shares of the owners' variances."""
        a, b = (variance.total() for variance in self._variance)
        return np.asarray(unexplained_p.clamp_min(0)) / np.where(owner_is_candidate_p, b, a)

    def strength(self, members: Sequence[int], side: str) -> float:
        """Joint strength of the tested features at positions `members`, all of one `side`.

        In `innovation` shared features and exclusive ones reconstruct different targets, and one
        difference may be in both; then the larger part counts, and not their sum.  0 where the
        features explain nothing or do harm.
        """
        unexplained = [0.0]
        for group in self._groups:
            m = group.at.cpu()
            m = m[torch.isin(m, torch.tensor(list(members), dtype=torch.long))]
            joint = (self._activation_products_pp * self._direction_products_pp)[
                m[:, None], m
            ].sum()
            unexplained.append(float(2 * self._cross_p[m].sum() + joint))
        return max(unexplained) / self.variance(side)


class _Group(NamedTuple):
    """Tested features that reconstruct the same target: its place in `Outputs`, their positions,
    their directions and the target's scale, both in the model's units.
    """

    target: int
    at: Tensor
    directions: Tensor
    scale: float


class _Variance:
    """Running sum of squared distances from the mean, fp64."""

    def __init__(self) -> None:
        self.count, self._sum, self._squares = 0, torch.zeros(()), 0.0

    def add(self, x: Tensor) -> None:
        self.count += len(x)
        self._sum = self._sum + x.sum(0, dtype=torch.float64).cpu()
        self._squares += float(x.double().square_().sum())

    def mean(self) -> float:
        return self.total() / max(1, self.count)

    def total(self) -> float:
        return max(self._squares - float(self._sum.square().sum()) / max(1, self.count), 1e-30)
