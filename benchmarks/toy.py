"""Activations with known concepts: ground truth for crosscoder, test and strength."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pytest_crossdiff.engine.activations import Pairs, Scale, Side

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


class InMemory:
    """Stands where a `Harvest` stands, its vectors in memory."""

    def __init__(self, x_nd: Tensor) -> None:
        self.x_nd = x_nd

    def __len__(self) -> int:
        return len(self.x_nd)

    @property
    def width(self) -> int:
        return int(self.x_nd.shape[1])

    def vectors(self, rows: NDArray[np.int64]) -> Tensor:
        return self.x_nd[torch.from_numpy(np.asarray(rows))]


@dataclass(frozen=True)
class Toy:
    """`pairs` with the concepts behind them: activations (n, concepts) and who has each."""

    pairs: Pairs
    activation_nc: Tensor
    only_a: range
    only_b: range


def toy(
    *,
    shared: int = 60,
    own: int = 4,
    width_a: int = 32,
    width_b: int = 48,
    tokens: int = 12_000,
    documents: int = 120,
    density: float = 0.04,
    noise: float = 0.02,
    seed: int = 0,
) -> Toy:
    """Two models that share `shared` concepts and have `own` more each; geometries unrelated."""
    g = torch.Generator().manual_seed(seed)
    total = shared + 2 * own
    fires = torch.rand(tokens, total, generator=g) < density
    activation = fires * (0.5 + torch.rand(tokens, total, generator=g))
    only_a, only_b = range(shared, shared + own), range(shared + own, total)

    def directions(width: int, missing: range) -> Tensor:
        d = torch.randn(total, width, generator=g)
        d /= d.norm(dim=1, keepdim=True)
        d[list(missing)] = 0
        return d

    d_a, d_b = directions(width_a, only_b), directions(width_b, only_a)
    x_a = activation @ d_a + noise * torch.randn(tokens, width_a, generator=g)
    x_b = activation @ d_b + noise * torch.randn(tokens, width_b, generator=g)
    group = np.sort(np.arange(tokens) % documents).astype(np.int32)
    return Toy(pairs_of(x_a, x_b, group), activation, only_a, only_b)


def pairs_of(x_a: Tensor, x_b: Tensor, group_n: NDArray[np.int32], heldout: float = 0.3) -> Pairs:
    """Normalised pairs of two matrices; the last documents are held out."""
    held = group_n >= round((group_n.max() + 1) * (1 - heldout))
    target = ((x_a.shape[1] + x_b.shape[1]) / 2) ** 0.5

    def side(x: Tensor) -> Side:
        mean = x[~held].mean(0)
        factor = target / float((x[~held] - mean).norm(dim=1).median())
        rows = np.arange(len(x))
        return Side(InMemory(x), rows, Scale(mean, factor), 0, 1.0, len(x), 0, 0)  # type: ignore[arg-type]

    return Pairs(side(x_a), side(x_b), group_n, held)
