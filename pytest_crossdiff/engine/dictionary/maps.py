"""The map that a dictionary predicts one model's vectors with from the other's (METHOD 2).

Axes: t tokens, d width of the model read, o of the model predicted, h hidden units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pytest_crossdiff.engine.regression.networks import Mlp

if TYPE_CHECKING:
    from pytest_crossdiff.engine.regression.ridge import LinearMap


class Map(nn.Module):
    """x @ weight_do + bias_o and, where it is curved, + relu(x @ hidden_dh + hidden_bias_h) @
    out_ho.  It is fitted before the dictionary is trained, and not trained with it.
    """

    weight_do: Tensor
    bias_o: Tensor
    hidden_dh: Tensor
    hidden_bias_h: Tensor
    out_ho: Tensor

    def __init__(self, reads: int, predicts: int, units: int) -> None:
        super().__init__()
        self.units = units
        shapes: dict[str, tuple[int, ...]] = {"weight_do": (reads, predicts), "bias_o": (predicts,)}
        if units:
            shapes["hidden_dh"], shapes["hidden_bias_h"] = (reads, units), (units,)
            shapes["out_ho"] = (units, predicts)
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape))

    def set(self, fitted: LinearMap | Mlp) -> None:
        """Be the map that was fitted."""
        linear = fitted.linear if isinstance(fitted, Mlp) else fitted
        self.weight_do.copy_(linear.weight_dp)
        self.bias_o.copy_(linear.bias_p)
        if isinstance(fitted, Mlp):
            self.hidden_dh.copy_(fitted.hidden_dh)
            self.hidden_bias_h.copy_(fitted.bias_h)
            self.out_ho.copy_(fitted.out_hp)
            self.bias_o += fitted.bias_p

    def residual(self, x_td: Tensor, y_to: Tensor) -> Tensor:
        """What the prediction from x leaves of y, shape (t, o)."""
        residual_to = y_to - x_td @ self.weight_do - self.bias_o
        if self.units:
            hidden_th = torch.addmm(self.hidden_bias_h, x_td, self.hidden_dh).relu_()
            residual_to = residual_to.addmm_(hidden_th, self.out_ho, alpha=-1)
        return residual_to
