"""What many texts begin with, such as a system message, is run once and not with each of them.

The model's own cache for generation has the keys and values of the prefix; each text goes on from
there. A family that can't do that, or gives something else, is read as a whole.

Axes: b texts of a batch, p positions, r positions of the prefix, d model width.
"""

from __future__ import annotations

import contextlib
import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from transformers import DynamicCache

from pytest_crossdiff.engine.models.one_pass import read_layers
from pytest_crossdiff.engine.models.reading.probing import ROUNDING, distance
from pytest_crossdiff.engine.models.reading.source_and_target import TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.engine.models.reading.predictions import ModelReadout

SHORTEST = 8
"""Positions from which on sharing a prefix saves more than it costs."""


class SharedPrefix(NamedTuple):
    """The first r positions of every text, read once: what each view gives there, shape (1, r, d),
    and the model's cache.
    """

    vectors: Sequence[Tensor]
    cache: Any

    @property
    def length(self) -> int:
        return int(self.vectors[0].shape[1])

    def read(
        self, views: Sequence[LoadedModel], ids_bp: Tensor, mask_bp: Tensor, counted_bp: Tensor
    ) -> list[ModelReadout]:
        """As `one_pass.read_layers`, of texts that begin with the prefix, in which no place counts;
        predictions there are 0, and surprises NaN.
        """
        texts, r = len(ids_bp), self.length
        cache = copy.deepcopy(self.cache)
        cache.batch_repeat_interleave(texts)
        behind = read_layers(views, ids_bp[:, r:], mask_bp, counted_bp[:, r:], cache)
        unsaid_br = torch.full((texts, r), torch.nan)
        return [
            of_view._replace(
                vectors_bpd=torch.cat([of_prefix.expand(texts, -1, -1), of_view.vectors_bpd], 1),
                nll_bp=torch.cat([unsaid_br, of_view.nll_bp], 1),
            )
            for of_prefix, of_view in zip(self.vectors, behind, strict=True)
        ]


def read_prefix(
    views: Sequence[LoadedModel], ids_1r: Tensor, texts: Sequence[Tensor]
) -> SharedPrefix | None:
    """Read the prefix `ids_1r`; None where it is too short, or some of the `texts` that begin with
    it (ids, each of shape (1, p)) aren't read behind it as they are read by themselves.
    """
    model = views[0]
    if ids_1r.shape[1] < SHORTEST or model.form != TEXT or model.batching != "padded":
        return None
    with contextlib.suppress(Exception):  # what runs takes no cache, or one of another kind
        made = _read(views, ids_1r)
        if all(_agrees(views, made, ids) for ids in texts):
            return made
    return None


def _read(views: Sequence[LoadedModel], ids_1r: Tensor) -> SharedPrefix:
    cache = DynamicCache(config=views[0].runner.config)
    found = read_layers(
        views, ids_1r, torch.ones_like(ids_1r), torch.zeros_like(ids_1r, device="cpu"), cache
    )
    return SharedPrefix([of_view.vectors_bpd for of_view in found], cache)


def _agrees(views: Sequence[LoadedModel], made: SharedPrefix, ids_1p: Tensor) -> bool:
    mask_1p, counted_1p = torch.ones_like(ids_1p), torch.ones_like(ids_1p, device="cpu")
    counted_1p[:, : made.length + 1] = 0
    whole = read_layers(views, ids_1p, mask_1p, counted_1p)
    behind = made.read(views, ids_1p, mask_1p, counted_1p)
    return all(
        distance(b.vectors_bpd, a.vectors_bpd) <= ROUNDING[view.dtype]
        for view, a, b in zip(views, whole, behind, strict=True)
    )
