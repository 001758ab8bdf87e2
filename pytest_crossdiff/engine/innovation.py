"""The maps between two models that tell what one has and the other doesn't predict (METHOD 2).

Axes: a baseline width, b candidate width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pytest_crossdiff.engine.ridge import Folds, fit_map, squared_error, total

if TYPE_CHECKING:
    from pytest_crossdiff.engine.activations import Pairs
    from pytest_crossdiff.engine.crosscoder import Crosscoder


@torch.no_grad()
def set_maps(model: Crosscoder, pairs: Pairs) -> None:
    """Fit both maps on the training documents and put them into `model`, with the scale that brings
    each innovation to unit variance.
    """
    a, b = pairs.a.harvest.width, pairs.b.harvest.width
    forward, backward = Folds(a, b), Folds(b, a)
    for block, x_a, x_b in pairs.blocks(pairs.training()):
        forward.add(x_a, x_b, pairs.group_n[block])
        backward.add(x_b, x_a, pairs.group_n[block])
    to_b, to_a = fit_map(forward.moments), fit_map(backward.moments)
    model.map_ab_ab.copy_(to_b.weight_dp)
    model.map_ba_ba.copy_(to_a.weight_dp)
    model.bias_ab_b.copy_(to_b.bias_p)
    model.bias_ba_a.copy_(to_a.bias_p)
    count = len(pairs.training())
    for i, (linear, parts, width) in enumerate(
        ((to_a, backward.moments, a), (to_b, forward.moments, b))
    ):
        mean_square = squared_error(linear, total(parts)) / (count * width)
        # Equal models leave only rounding, which may bring the sum below 0.
        model.innovation_scale[i] = max(mean_square, 1e-6) ** 0.5
