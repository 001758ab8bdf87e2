"""The maps between two models that tell what one has and the other doesn't predict (METHOD 2).

Axes: a baseline width, b candidate width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from pytest_crossdiff.engine.ridge import Folds, LinearMap, fit_map, squared_error, total

if TYPE_CHECKING:
    from pytest_crossdiff.engine.activations import Pairs
    from pytest_crossdiff.engine.crosscoder import Crosscoder


class Fitted(NamedTuple):
    """A map into a model, and the mean square that it leaves of a number."""

    map: LinearMap
    mean_square: float


@torch.no_grad()
def fit_maps(pairs: Pairs) -> tuple[Fitted, Fitted]:
    """The maps into the baseline and into the candidate, fitted on the training documents."""
    a, b = pairs.a.harvest.width, pairs.b.harvest.width
    forward, backward = Folds(a, b), Folds(b, a)
    for block, x_a, x_b in pairs.blocks(pairs.training()):
        forward.add(x_a, x_b, pairs.group_n[block])
        backward.add(x_b, x_a, pairs.group_n[block])
    to_a, to_b = (_fitted(folds, len(pairs.training())) for folds in (backward, forward))
    return to_a, to_b


def _fitted(folds: Folds, count: int) -> Fitted:
    linear = fit_map(folds.moments)
    left = squared_error(linear, total(folds.moments)) / (count * len(linear.bias_p))
    # Equal models leave only rounding, which may bring the sum below 0.
    return Fitted(linear, max(left, 1e-6))


@torch.no_grad()
def set_maps(model: Crosscoder, pairs: Pairs) -> None:
    """Put both maps into `model`, with the scale that brings each innovation to unit variance."""
    to_a, to_b = fit_maps(pairs)
    model.map_ab_ab.copy_(to_b.map.weight_dp)
    model.map_ba_ba.copy_(to_a.map.weight_dp)
    model.bias_ab_b.copy_(to_b.map.bias_p)
    model.bias_ba_a.copy_(to_a.map.bias_p)
    for i, fitted in enumerate((to_a, to_b)):
        model.innovation_scale[i] = fitted.mean_square**0.5


def copy_maps(model: Crosscoder, like: Crosscoder) -> None:
    """Give `model` the maps of a dictionary of the same pairs."""
    maps = {k: v for k, v in like.named_buffers() if k != "threshold"}
    model.load_state_dict(maps, strict=False)
