"""The maps between two models that tell what one has and the other doesn't predict (METHOD 2).

Axes: a baseline width, b candidate width.
"""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING

import torch

from pytest_crossdiff.engine.exclusivity import FOLDS, fold
from pytest_crossdiff.engine.ridge import Moments, fit_map, squared_error

if TYPE_CHECKING:
    from pytest_crossdiff.engine.activations import Pairs
    from pytest_crossdiff.engine.crosscoder import Crosscoder


@torch.no_grad()
def set_maps(model: Crosscoder, pairs: Pairs) -> None:
    """Fit both maps on the training documents and put them into `model`, with the scale that brings
    each innovation to unit variance.
    """
    a, b = pairs.a.harvest.width, pairs.b.harvest.width
    forward, backward = [[Moments(x, y) for _ in range(FOLDS)] for x, y in ((a, b), (b, a))]
    for block, x_a, x_b in pairs.blocks(pairs.training()):
        fold_t = torch.from_numpy(fold(pairs.group_n[block]))
        for i in range(FOLDS):
            forward[i].add(x_a[fold_t == i], x_b[fold_t == i])
            backward[i].add(x_b[fold_t == i], x_a[fold_t == i])
    to_b, to_a = fit_map(forward), fit_map(backward)
    model.map_ab_ab.copy_(to_b.weight_dp)
    model.map_ba_ba.copy_(to_a.weight_dp)
    model.bias_ab_b.copy_(to_b.bias_p)
    model.bias_ba_a.copy_(to_a.bias_p)
    count = len(pairs.training())
    for i, (linear, parts, width) in enumerate(((to_a, backward, a), (to_b, forward, b))):
        rms = (
            squared_error(linear, functools.reduce(operator.add, parts)) / (count * width)
        ) ** 0.5
        model.innovation_scale[i] = max(rms, 1e-3)  # two equal models leave nothing but rounding
