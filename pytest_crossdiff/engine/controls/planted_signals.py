"""Signals planted into the vectors of every run: an internal standard (METHOD 5, spike-in control).

Each is a direction that one model alone carries, on places drawn by chance, so that no probe can
read it from the other model.  What the run recovers of them says how weak a difference it would
have seen.  Axes: t pairs of a batch, s signals of a side, d the model's width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.sides import Side

STRENGTHS = (0.0003, 0.001, 0.003, 0.01)
"""The ladder: shares of the model's variance."""
DENSITIES = (0.003, 0.01)
"""Shares of the tokens on which a signal stands; one signal for each and each strength."""
SAMPLE = 8_192
"""Training pairs that a model's variance is estimated from."""


class SignalLevel(NamedTuple):
    """What is planted: share of the variance, share of the tokens."""

    strength: float
    density: float


SIGNAL_LEVELS = tuple(
    SignalLevel(strength, density) for strength in STRENGTHS for density in DENSITIES
)


class PlantedSignals(NamedTuple):
    """The signals of both sides, in normalised units: directions_sd, each as long as its typical
    contribution.
    """

    baseline_sd: Tensor
    candidate_sd: Tensor

    def activations(self, side: Side, pairs_t: NDArray[np.int64]) -> Tensor:
        """How strongly each signal of `side` stands on the given pairs, shape (t, s): 0, or a
        number between 0.5 and 1.5.  A hash of the pair decides, so nothing has to be stored.
        """
        keys = pairs_t.astype(np.uint64)[:, None] * np.uint64(2 * len(SIGNAL_LEVELS))
        keys = keys + np.arange(len(SIGNAL_LEVELS), dtype=np.uint64) * np.uint64(2)
        keys += np.uint64(SIDES.index(side)) << np.uint64(56)
        fires = _uniform(keys) < np.array([level.density for level in SIGNAL_LEVELS])
        return torch.from_numpy((fires * (0.5 + _uniform(keys + np.uint64(1)))).astype(np.float32))

    def summed_squares(
        self, side: Side, activations_ts: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """The summed squares that each signal of `side` adds where it stands so, shape (s,)."""
        directions = self.candidate_sd if side == "candidate" else self.baseline_sd
        squares_s = np.square(activations_ts, dtype=np.float64).sum(0)
        return np.asarray(squares_s * directions.double().square().sum(1).numpy())

    def add_signals(self, side: Side, x_td: Tensor, pairs_t: NDArray[np.int64]) -> Tensor:
        """The normalised vectors with the signals of `side` added."""
        directions = self.candidate_sd if side == "candidate" else self.baseline_sd
        return x_td + self.activations(side, pairs_t) @ directions


def plant_signals(pairs: Pairs, seed: int = 0) -> Pairs:
    """`pairs` with the ladder planted into either side.

    The directions are differences of two of the model's own vectors: they point where its vectors
    vary, and are as hard to tell from them as anything that the texts bring about.
    """
    training = pairs.training()
    sample = training[:: max(1, len(training) // SAMPLE)]
    random = np.random.default_rng(seed)
    directions = []
    for x_nd in pairs.batch(sample):
        first, second = (random.permutation(len(sample))[: len(SIGNAL_LEVELS)] for _ in range(2))
        direction_sd = x_nd[first % len(sample)] - x_nd[second % len(sample)]
        direction_sd = direction_sd / direction_sd.norm(dim=1, keepdim=True).clamp_min(1e-12)
        variance = float(x_nd.double().square().sum(1).mean())
        mean_square = 13 / 12  # of a number between 0.5 and 1.5
        lengths = [
            (r.strength * variance / (r.density * mean_square)) ** 0.5 for r in SIGNAL_LEVELS
        ]
        directions.append(direction_sd * torch.tensor(lengths)[:, None])
    return pairs._replace(planted_signals=PlantedSignals(*directions))


def match_signals(
    spikes_ns: NDArray[np.float32], f_np: NDArray[np.float32], least: float = 0.5
) -> NDArray[np.int64]:
    """Which signal each feature stands for, or -1: their activations correlate above `least`, or
    that share of the feature's activation lies on the signal's places.
    """
    if not f_np.shape[1]:
        return np.zeros(0, dtype=np.int64)
    centred_f, centred_s = f_np - f_np.mean(0), spikes_ns - spikes_ns.mean(0)
    norms = np.outer(np.linalg.norm(centred_f, axis=0), np.linalg.norm(centred_s, axis=0))
    correlation_ps = centred_f.T @ centred_s / np.maximum(norms, 1e-12)
    mass_ps = f_np.T @ (spikes_ns > 0) / np.maximum(f_np.sum(0)[:, None], 1e-12)
    likeness_ps = np.maximum(correlation_ps, mass_ps)
    return np.where(likeness_ps.max(1) > least, likeness_ps.argmax(1), -1)


def _uniform(keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Numbers in [0, 1) that look drawn at random, one for each key (SplitMix64)."""
    z = keys + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray((z ^ (z >> np.uint64(31))) >> np.uint64(11), dtype=np.float64) / 2.0**53
