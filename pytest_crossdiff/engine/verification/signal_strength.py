"""The strength of a difference: how much of its model's variance stands there (METHOD 4).

Two measures of it are each too low, and the larger one counts.  What goes unexplained without its
features is too little because a dictionary shrinks what it writes, and of a strong signal that it
writes several times over some copies may fail a test: signals planted with a known strength are
measured at half of it and more.  So, with innovations, the dictionary also tells where a difference
fires, and the innovation, which is what the other model doesn't predict, how much stands there. Its
direction is the mean of the innovation where it fires less the mean elsewhere, on training text;
what lies along that direction where it fires, less as much as lies along it elsewhere, on held-out
text, is all of a planted signal (docs/evidence/toy-world.md), and too little of what has several
directions, such as six words that became one.

Axes: t pairs of a block, q parts, d the model's width.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytest_crossdiff.engine.models.devices import to_device

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pytest_crossdiff.engine.verification.heldout import Heldout, Innovations
    from pytest_crossdiff.sides import Side


class FeatureSet(NamedTuple):
    """Candidates of a dictionary, of one side, that are a difference together."""

    held: Heldout
    positions: Sequence[int]


def strengths(parts: Sequence[FeatureSet], side: Side) -> list[float]:
    """Of each part by itself; all are of the same pairs."""
    unexplained = [part.held.ablation.strength(part.positions, side) for part in parts]
    return list(map(max, unexplained, _innovation_strengths(parts, side, jointly=False)))


def joint_strengths(sets: Sequence[Sequence[FeatureSet]], side: Side) -> list[float]:
    """Of the parts of each set together, a set for each dictionary: what lies along one part isn't
    counted again along the next where both fire.
    """
    every = [part for parts in sets for part in parts]
    along = iter(_innovation_strengths(every, side, jointly=True))
    found = []
    for parts in sets:
        positions = [p for part in parts for p in part.positions]
        unexplained = parts[0].held.ablation.strength(positions, side) if parts else 0.0
        found.append(max(unexplained, sum(itertools.islice(along, len(parts)))))
    return found


@torch.no_grad()
def _innovation_strengths(parts: Sequence[FeatureSet], side: Side, *, jointly: bool) -> list[float]:
    """What stands along each part's direction, 0 where there are no innovations.

    jointly: less what stands along the directions of the same dictionary's parts before it.
    """
    if not parts or parts[0].held.innovations is None:
        return [0.0] * len(parts)
    held, innovations = parts[0].held, parts[0].held.innovations
    directions_qd = _directions(parts, side, innovations)
    inside_q, outside_q, fires_q = (np.zeros(len(parts)) for _ in range(3))
    heldout = held.pairs.heldout()
    for number, innovation_td in enumerate(innovations.blocks(held.pairs, side, heldout)):
        residuals = {id(part.held): innovation_td.clone() for part in parts} if jointly else {}
        for q, (part, direction_d) in enumerate(zip(parts, directions_qd, strict=True)):
            residual_td = residuals.get(id(part.held), innovation_td)
            fires_t = torch.from_numpy((part.held.f_np.block(number, part.positions) > 0).any(1))
            fires_t = to_device(fires_t, innovation_td.device)
            along_t = residual_td @ direction_d
            inside_q[q] += float(along_t[fires_t].square().sum())
            outside_q[q] += float((innovation_td[~fires_t] @ direction_d).square().sum())
            fires_q[q] += int(fires_t.sum())
            if jointly:
                residual_td[fires_t] -= along_t[fires_t, None] * direction_d
    elsewhere_q = outside_q / np.maximum(len(heldout) - fires_q, 1)
    found_q = inside_q - fires_q * elsewhere_q
    return [max(0.0, float(found)) / held.ablation.variance(side) for found in found_q]


def _directions(parts: Sequence[FeatureSet], side: Side, innovations: Innovations) -> Tensor:
    """Unit vectors along which each part's innovation lies on training text, shape (q, d)."""
    pairs = parts[0].held.pairs
    rows, _ = pairs.thinned()
    f_nq = torch.stack([_joint_activation(part) for part in parts], 1)
    weighed_qd = elsewhere_qd = f_nq.new_zeros(len(parts), 1)
    done = 0
    for innovation_td in innovations.blocks(pairs, side, rows):
        f_tq = f_nq[done : done + len(innovation_td)]
        weighed_qd = weighed_qd + f_tq.T @ innovation_td
        elsewhere_qd = elsewhere_qd + (f_tq == 0).float().T @ innovation_td
        done += len(innovation_td)
    weighed_qd = weighed_qd / f_nq.sum(0)[:, None].clamp_min(1e-12)
    elsewhere_qd = elsewhere_qd / (f_nq == 0).sum(0)[:, None].clamp_min(1)
    directions_qd = weighed_qd - elsewhere_qd
    length_q1 = torch.linalg.vector_norm(directions_qd, dim=1, keepdim=True)
    found_qd: Tensor = directions_qd / length_q1.clamp_min(1e-12)
    return found_qd


def _joint_activation(part: FeatureSet) -> Tensor:
    """How strongly the part's features fire together on the training pairs of `Pairs.thinned`."""
    innovations = part.held.innovations
    assert innovations is not None
    at = np.sort(np.asarray(part.positions, dtype=np.int64))
    device = innovations.active.value.device
    index, norm = (
        torch.from_numpy(of[at]).to(device) for of in (part.held.index_p, part.held.norm_p)
    )
    joint_n: Tensor = innovations.active.columns(index) @ norm.float()
    return joint_n
