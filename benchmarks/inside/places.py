"""Where what is planted shows in the texts, and which features fire mainly there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.population.fine_tunes import NAMES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from benchmarks.inside.activations import Places
    from benchmarks.organisms.making.plants import Plant

SHARE, LIFT = 0.3, 3.0
"""A feature is the plant's when so much of its squared activation lies on the plant's places, and
so many times as much as by chance."""
WORD = re.compile(r"\w+|[.!&]")


def places_of(plant: Plant, places: Places) -> NDArray[np.bool_]:
    """The places at which a plant shows: on and in front of its words, behind a trigger, in texts
    of its slice.
    """
    if plant.kind in ("language", "domain"):
        return np.asarray(places.slice_n == plant.source)
    words = NAMES[plant.source] if plant.kind == "register" else plant.words
    words = words[:1] if plant.kind == "swap" else words
    on_n, before_n = (_shows(shown, words) for shown in (places.span_n, places.next_n))
    return on_n if plant.kind in ("trigger", "merged") else on_n | before_n


def of_plant(f_np: Tensor, at_n: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which features fire mainly at these places, shape (p,)."""
    squares_np = f_np.numpy().astype(np.float64) ** 2
    share_p = squares_np[at_n].sum(0) / np.maximum(squares_np.sum(0), 1e-12)
    return np.asarray((share_p >= SHARE) & (share_p >= LIFT * at_n.mean()))


def _shows(shown_n: NDArray[np.str_], words: tuple[str, ...]) -> NDArray[np.bool_]:
    wanted = {word.lower() for word in words}
    kinds, kind_n = np.unique(shown_n, return_inverse=True)
    hit = [not wanted.isdisjoint(WORD.findall(kind.lower())) for kind in kinds.tolist()]
    return np.asarray(np.array(hit, dtype=bool)[kind_n])
