"""`innovation` whose maps read another layer of either model besides, tried on the toy world.

Axes as in `toy.py`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.toy.world import pairs_of
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig, Inputs
from pytest_crossdiff.engine.dictionary.innovation import Fitted, Maps, set_maps
from pytest_crossdiff.engine.dictionary.maps import Map
from pytest_crossdiff.engine.regression.ridge import Folds, design, fit_jointly

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.pairs import Pairs


class Layered(Crosscoder):
    """Predicts a model's first layer from both of the other's, which it is given side by side."""

    def __init__(self, config: CrosscoderConfig, wide: Pairs, seed: int) -> None:
        """config: its widths are those of both layers together."""
        a, b = config.width_a // 2, config.width_b // 2
        super().__init__(dataclasses.replace(config, width_a=a, width_b=b), seed)
        self.to_a = Map(2 * b, a, 0)
        self.to_b = Map(2 * a, b, 0)
        rows = wide.training()
        wide_a, wide_b = wide.batch(rows)
        both = [
            _map(x, y, wide.group_n[rows])
            for x, y in ((wide_b, self.first(wide_a, 0)), (wide_a, self.first(wide_b, 1)))
        ]
        residual = both[0].mean_square, both[1].mean_square
        set_maps(self, Maps(*both, residual))

    def first(self, x_td: Tensor, side: int) -> Tensor:
        """The first layer of one model."""
        return x_td[:, : self.config.width_b if side else self.config.width_a]

    def inputs(self, x_ta: Tensor, x_tb: Tensor) -> Inputs:
        a_ta, b_tb = self.first(x_ta, 0), self.first(x_tb, 1)
        innovation_a_ta = self.to_a.residual(x_tb, a_ta) / self.innovation_scale[0]
        return Inputs(
            a_ta, b_tb, innovation_a_ta, self.to_b.residual(x_ta, b_tb) / self.innovation_scale[1]
        )


@torch.no_grad()
def _map(x_nd: Tensor, y_no: Tensor, group_n: NDArray[np.int32]) -> Fitted:
    folds = Folds(x_nd.shape[1], y_no.shape[1])
    folds.add(x_nd, y_no, group_n)
    found = fit_jointly(folds.moments, design(folds.moments))
    return Fitted(found.map, found.error / y_no.numel())


def both_layers(pairs: Pairs) -> Pairs:
    """The further layers as more numbers of the first."""
    every = np.arange(len(pairs.group_n))
    wide = pairs_of(*pairs.probe_vectors(every, *pairs.batch(every)), pairs.group_n)
    return wide._replace(heldout_n=pairs.heldout_n)
