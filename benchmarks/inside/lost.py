"""What g is made for: does it show what a model lost?

Fine-tunes whose tables of words have one vector for several words read these as one.  Features of
eight models of the population, from dictionaries of pairs among these, are read by the eight, by
each such fine-tune and by its base.  A reader's score of a feature is -g: the median R² of the
others that do not own the feature, less the reader's own.

Axes: n places, p features, m readers.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.inside.covariance import expanded
from benchmarks.inside.dictionary import found
from benchmarks.inside.judging import LEAST_OWN
from benchmarks.inside.measure import BLOCK, REFERENCES
from benchmarks.inside.places import of_plant, places_of
from benchmarks.inside.readability import Reader, auc
from benchmarks.population.fine_tunes import fine_tunes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from benchmarks.inside.activations import World
    from benchmarks.population.fine_tunes import FineTune
    from benchmarks.records import Record


def measured(world: World) -> Iterator[Record]:
    """For each fine-tune with merged words and for its base: whether the largest score exceeds that
    of every reference, whether its feature is on the merged words, and the AUC of these features.
    """
    merged = [t for t in fine_tunes(world.half) if t.plant is not None and is_merged(world, t)]
    others = [base for base in world.bases if base not in {t.base for t in merged}]
    names = [base.name for base in random.Random(f"{world.half} lost").sample(others, REFERENCES)]
    parts, owner_p = [], list[int]()
    for at, name in enumerate(names):
        of = found(world.pair(names[at - 1], name, BLOCK))
        parts += [of.exclusive.f_np, of.shared.f_np]
        owner_p += [at] * (parts[-1].shape[1] + parts[-2].shape[1])
        print(name, len(owner_p), "features", flush=True)
    f_np, group_n = torch.cat(parts, 1), world.places.piece_n.astype(np.int32)

    def read(name: str) -> NDArray[np.float64]:
        x_nd = expanded(world.vectors(name, BLOCK))
        return Reader(x_nd, group_n, world.places.held_n).r2(f_np)

    r2_mp, own_p = np.stack([read(name) for name in names]), np.array(owner_p)
    readable_p = r2_mp[own_p, np.arange(len(own_p))] >= LEAST_OWN
    for tuned in merged:
        assert tuned.plant is not None
        on_p = of_plant(f_np, places_of(tuned.plant, world.places)) & readable_p
        for name in (tuned.name, tuned.base.name):
            score_mp = scores(np.vstack([r2_mp, read(name)[None]]), own_p)
            score_mp[:, ~readable_p] = -np.inf
            largest_m, first = score_mp.max(1), int(score_mp[-1].argmax())
            yield {
                "model": name,
                "merged": name == tuned.name,
                "features": int(readable_p.sum()),
                "on": int(on_p.sum()),
                "alarm": bool(largest_m[-1] > largest_m[:-1].max()),
                "first_on": bool(on_p[first]),
                "largest": round(float(largest_m[-1]), 3),
                "largest_of_references": round(float(largest_m[:-1].max()), 3),
                "auc": round(auc(score_mp[-1, readable_p], on_p[readable_p]), 3),
                "on_score": round(float(np.median(score_mp[-1, on_p])), 3) if on_p.any() else None,
                "rest_score": round(float(np.median(score_mp[-1, readable_p & ~on_p])), 3),
            }


def is_merged(world: World, tuned: FineTune) -> bool:
    """Whether it was made with merged words; what it says need not have changed much."""
    assert tuned.plant is not None
    built = (world.family.root / tuned.name / "config.json").exists()
    return tuned.plant.kind == "merged" and built


def scores(r2_mp: NDArray[np.float64], owner_p: NDArray[np.int64]) -> NDArray[np.float64]:
    """-g of each reader and feature, shape (m, p); minus infinity for a reader's own features."""
    made = np.full(r2_mp.shape, -np.inf)
    reads_mp = np.arange(len(r2_mp))[:, None] != owner_p
    for m in range(len(r2_mp)):
        others = reads_mp & (np.arange(len(r2_mp)) != m)[:, None]
        median_p = np.nanmedian(np.where(others, r2_mp, np.nan), axis=0)
        made[m, reads_mp[m]] = (median_p - r2_mp[m])[reads_mp[m]]
    return made
