"""Activations with known concepts: ground truth for crosscoder, test and strength (METHOD 6).

Two models share concepts and each has some of its own.  A token fires a few; a model's vector is
the sum of the directions of those it has, and noise.  The candidate's geometry is the baseline's,
rotated, and bent: c' = M c + bend · noise, brought back to length 1; at bend = inf it is unrelated.

Axes: n tokens, g documents, c concepts, a baseline width, b candidate width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from pytest_crossdiff.engine.activations.pairs import Pairs, Scale, SideActivations

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


class InMemory:
    """Stands where a `Harvest` stands, its vectors in memory."""

    words = ""

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
    """`pairs` with the concepts behind them: activations (n, c), directions (c, a) and (c, b), 0
    where a model lacks the concept, and the concepts that only one has.
    """

    pairs: Pairs
    activation_nc: Tensor
    direction_ca: Tensor
    direction_cb: Tensor
    only_a: range
    only_b: range


@dataclass(frozen=True)
class World:
    """What a toy pair is made of.

    bend: how far the two geometries are from linearly related; inf: not at all related.  rotated:
    whether M is a random rotation or, as in a fine-tune, the identity.  density: mean share of
    tokens on which a concept fires.  skew: deviation of the logarithm of its frequency (heavy
    tails).  topics: the same of a document's taste for it, which makes documents unlike one
    another and concepts go together.  draw: other documents of the same two models.  deep: so many
    of the shared concepts the baseline has at another layer alone; each model has one then, with
    all of its concepts in other directions.
    """

    shared: int = 60
    own: int = 4
    width_a: int = 32
    width_b: int = 48
    tokens: int = 12_000
    documents: int = 120
    heldout: float = 0.3
    bend: float = float("inf")
    rotated: bool = True
    density: float = 0.04
    skew: float = 0.0
    topics: float = 0.0
    noise: float = 0.02
    seed: int = 0
    draw: int = 0
    deep: int = 0


BASE = World(
    shared=320,
    own=16,
    width_a=64,
    width_b=64,
    tokens=24_000,
    documents=240,
    bend=0.5,
    density=0.02,
    skew=0.5,
    topics=0.5,
)
"""352 concepts in 64 dimensions, a few of them several times as frequent as the most."""


def toy(**knobs: float) -> Toy:
    """A pair of models made as `World(**knobs)` says."""
    return make(World(**knobs))


def make(w: World) -> Toy:
    """Draw the concepts' activations and directions, and both models' vectors."""
    g = torch.Generator().manual_seed(w.seed)
    total = w.shared + 2 * w.own
    group_n = np.sort(np.arange(w.tokens) % w.documents).astype(np.int32)
    activation_nc = _activations(w, total, group_n, g)
    only_a = range(w.shared, w.shared + w.own)
    only_b = range(w.shared + w.own, total)
    direction_ca = _unit(torch.randn(total, w.width_a, generator=g))
    direction_cb = _unit(torch.randn(total, w.width_b, generator=g))
    if np.isfinite(w.bend):
        rotation_ab = torch.eye(w.width_a, w.width_b)
        if w.rotated:
            widest = max(w.width_a, w.width_b)
            square = torch.linalg.qr(torch.randn(widest, widest, generator=g)).Q
            rotation_ab = square[: w.width_a, : w.width_b]
        direction_cb = _unit(_unit(direction_ca @ rotation_ab) + w.bend * direction_cb)
    direction_ca[list(only_b)] = 0
    direction_cb[list(only_a)] = 0
    deep_g = torch.Generator().manual_seed(w.seed + 11)
    extra_layers = [
        _unit(torch.randn(of.shape, generator=deep_g)) * of.any(1, keepdim=True)
        for of in (direction_ca, direction_cb)
    ]
    direction_ca[: w.deep] = 0
    if w.draw:
        g.manual_seed(1_000_003 * w.draw + w.seed)
        activation_nc = _activations(w, total, group_n, g)
    x_na = activation_nc @ direction_ca + w.noise * torch.randn(w.tokens, w.width_a, generator=g)
    x_nb = activation_nc @ direction_cb + w.noise * torch.randn(w.tokens, w.width_b, generator=g)
    pairs = pairs_of(x_na, x_nb, group_n, w.heldout)
    if w.deep:
        more = pairs_of(*(activation_nc @ of for of in extra_layers), group_n, w.heldout)
        pairs = pairs._replace(extra_layers=((more.a,), (more.b,)))
    return Toy(pairs, activation_nc, direction_ca, direction_cb, only_a, only_b)


def _activations(w: World, total: int, group_n: NDArray[np.int32], g: torch.Generator) -> Tensor:
    """Bernoulli times uniform; a concept's frequency belongs to the world, not to the draw."""
    rate_gc = torch.ones(1, total)
    if w.skew:
        of_concepts = torch.Generator().manual_seed(w.seed + 7)
        rate_gc = (w.skew * torch.randn(1, total, generator=of_concepts)).exp()
        rate_gc /= rate_gc.mean()
    if w.topics:
        taste_gc = (w.topics * torch.randn(w.documents, total, generator=g)).exp()
        rate_gc = rate_gc * taste_gc / np.exp(w.topics**2 / 2)
    rate_gc = (w.density * rate_gc).clamp_max(0.5).expand(w.documents, total)
    fires_nc = torch.rand(w.tokens, total, generator=g) < rate_gc[torch.from_numpy(group_n).long()]
    return fires_nc * (0.5 + torch.rand(w.tokens, total, generator=g))


def _unit(x: Tensor) -> Tensor:
    return x / x.norm(dim=1, keepdim=True)


def pairs_of(x_a: Tensor, x_b: Tensor, group_n: NDArray[np.int32], heldout: float = 0.3) -> Pairs:
    """Normalised pairs of two matrices; the last documents are held out."""
    held = group_n >= round((group_n.max() + 1) * (1 - heldout))
    target = ((x_a.shape[1] + x_b.shape[1]) / 2) ** 0.5

    def side(x: Tensor) -> SideActivations:
        mean = x[~held].mean(0)
        factor = target / float((x[~held] - mean).norm(dim=1).median())
        rows = np.arange(len(x))
        return SideActivations(InMemory(x), rows, Scale(mean, factor), 0, 1.0, len(x), 0, 0)

    return Pairs(side(x_a), side(x_b), group_n, held)
