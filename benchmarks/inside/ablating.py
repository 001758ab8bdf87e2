"""What taking a feature away does to its model's output, against shared features of equal strength
and density (METHOD 7).

Axes: b copies of a text, p positions, v vocabulary, k places of a text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pytest_crossdiff.engine.explanation.intervention import record, replay

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.inside.activations import World
    from benchmarks.inside.dictionary import Features

TEXTS, COPIES = 16, 48
"""Held-out texts in which features are taken away, and features that are at once."""
MATCHED = 99


@torch.no_grad()
def effects(world: World, name: str, block: int, features: Features) -> NDArray[np.float64]:
    """KL divergence of the model's output from what it is without a feature, in nats at a place
    where it fires, shape (p,); NaN for one that fires in none of the texts.
    """
    loaded, places = world.loaded(name, block), world.places
    held = np.unique(places.piece_n[places.held_n])
    chosen = np.random.default_rng(0).permutation(held)[:TEXTS].tolist()
    total_p, count_p = np.zeros(features.f_np.shape[1]), np.zeros(features.f_np.shape[1])
    for piece in chosen:
        ids_bp, at = world.positions(loaded, piece)
        f_kp = features.f_np[torch.from_numpy(places.piece_n == piece)]
        firing = (f_kp > 0).any(0).nonzero().flatten()
        for part in torch.split(firing, COPIES):
            recorded = record(loaded, ids_bp.expand(len(part), -1))
            change_bpd = torch.zeros(len(part), ids_bp.shape[1], loaded.width)
            removed = f_kp[:, part].T[:, :, None] * features.directions_pd[part][:, None]
            change_bpd[:, at] = -removed
            out_bkv = replay(loaded, recorded, change_bpd)[:, at].log_softmax(-1)
            plain_kv = recorded.out[0, at].log_softmax(-1)
            kl_bk = (plain_kv.exp() * (plain_kv - out_bkv)).sum(-1).clamp(min=0)
            fires_bk = f_kp[:, part].T > 0
            total_p[part.numpy()] += (kl_bk * fires_bk).sum(1).numpy()
            count_p[part.numpy()] += fires_bk.sum(1).numpy()
    return np.where(count_p > 0, total_p / np.maximum(count_p, 1), np.nan)


def shares_above(
    own: Features,
    own_effect_p: NDArray[np.float64],
    shared: Features,
    shared_effect_q: NDArray[np.float64],
) -> NDArray[np.float64]:
    """For each feature the p-value of "no more effect than shared ones": the rank among those of
    the `MATCHED` shared features that are nearest in strength and density (logarithms).
    """
    known_q = np.flatnonzero(np.isfinite(shared_effect_q))
    own_px, shared_qx = (
        np.log(np.stack([f.strength_p, f.density_p], 1) + 1e-12) for f in (own, shared.of(known_q))
    )
    effect_q, made = shared_effect_q[known_q], []
    for at_x, effect in zip(own_px, own_effect_p.tolist(), strict=True):
        near = np.argsort(((shared_qx - at_x) ** 2).sum(1))[:MATCHED]
        rank = (1 + (effect_q[near] >= effect).sum()) / (1 + len(near))
        made.append(rank if np.isfinite(effect) else np.nan)
    return np.array(made)
