"""The null control: the baseline compared with itself (METHOD 5).

The whole procedure, with a smaller dictionary, on the baseline's vectors and the same vectors seen
through a random invertible map and rounded.  Nothing differs, so nothing may be found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

from pytest_crossdiff.engine.activations.pairs import Scale

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.harvest import Harvest
    from pytest_crossdiff.engine.activations.pairs import Pairs, SideActivations

STRETCH = 3.0
"""The map stretches some directions by this much and shrinks others as much."""


class _Mapped:
    """Stands where a `Harvest` stands: its normalised vectors, mapped and rounded to bfloat16."""

    def __init__(self, side: SideActivations, map_dd: Tensor) -> None:
        self._harvest, self._scale, self._map_dd = side.harvest, side.scale, map_dd
        self.width = side.harvest.width

    def vectors(self, rows: NDArray[np.int64]) -> Tensor:
        x_td = (self._harvest.vectors(rows) - self._scale.mean_d) * self._scale.factor
        return (x_td @ self._map_dd).bfloat16().float()


def null_pairs(pairs: Pairs, seed: int = 0) -> Pairs:
    """`pairs` with the baseline, seen through a random map, in the candidate's place.

    Predictions in the same words are rounded only: their directions are words, and a map would make
    others of them.
    """
    width = pairs.a.harvest.width
    map_dd = torch.eye(width) if pairs.same_vocabulary else _random_map(width, seed)
    mapped = cast("Harvest", _Mapped(pairs.a, map_dd))
    same = pairs.a._replace(harvest=mapped, scale=Scale(torch.zeros(width), 1.0))
    return pairs._replace(b=same, planted_signals=None, extra_layers=((), ()))


def _random_map(width: int, seed: int) -> Tensor:
    """An invertible map: turned, stretched, and turned again."""
    generator = torch.Generator().manual_seed(seed)
    rotation, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
    stretch = STRETCH ** (2 * torch.rand(width, generator=generator) - 1)
    back, _ = torch.linalg.qr(torch.randn(width, width, generator=generator))
    made: Tensor = (rotation * stretch) @ back
    return made
