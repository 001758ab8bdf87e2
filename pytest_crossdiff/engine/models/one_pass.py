"""One model at several layers, all of them read in one forward pass.

Axes: b texts of a batch, p positions, d model width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pytest_crossdiff.engine.models.loaded import read, read_batch
from pytest_crossdiff.engine.models.reading.passes import intercepted
from pytest_crossdiff.engine.models.reading.predictions import ModelReadout
from pytest_crossdiff.engine.models.reading.source_and_target import TEXT
from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.engine.models.reading.passes import Compute


def read_layers(
    views: Sequence[LoadedModel],
    input_ids: Tensor,
    attention_mask: Tensor,
    counted_bp: Tensor | None = None,
    cache: object = None,
) -> list[ModelReadout]:
    """As `read`, of each of `views`: one model at layers that `agree_in_one_pass`."""
    last = max(views, key=lambda view: view.layer)
    if len(views) == 1:
        return [read(last, input_ids, attention_mask, counted_bp, cache)]
    caught: dict[int, Tensor] = {}

    def keep(number: int, compute: Compute) -> object:
        output = compute()
        for view in views:
            if view is not last and view.layer == number:
                found_bpd = view.layout.read(output, input_ids.shape[1])
                caught[number] = found_bpd.clone()  # later blocks may add to it where it lies
        return output

    with torch.inference_mode(), intercepted(views[0].blocks, keep):
        of_last = read(last, input_ids, attention_mask, counted_bp, cache)
    unsaid_bp = torch.full(input_ids.shape, torch.nan)
    return [
        of_last if view is last else ModelReadout(caught[view.layer], unsaid_bp) for view in views
    ]


def agree_in_one_pass(views: Sequence[LoadedModel], texts: Sequence[Tensor]) -> bool:
    """Whether one pass gives every view what it reads by itself, to the last bit, as on `texts`
    (token ids, each of shape (1, p)).
    """
    kinds = {(view.head, view.architecture, view.form, view.batching) for view in views}
    same_blocks = len({tuple(map(id, view.blocks)) for view in views}) == 1
    if kinds != {(views[0].head, views[0].architecture, TEXT, "padded")} or not same_blocks:
        return False
    longest = max(ids.shape[1] for ids in texts)
    ids_bp = torch.zeros(len(texts), longest, dtype=torch.long)
    mask_bp = torch.zeros_like(ids_bp)
    for row, ids in enumerate(texts):
        ids_bp[row, : ids.shape[1]], mask_bp[row, : ids.shape[1]] = ids[0], 1
    try:
        together = read_layers(views, ids_bp, mask_bp)
    except (ModelError, KeyError):  # a pass that isn't run, or gives something else
        return False
    alone = [read_batch(view, ids_bp, mask_bp) for view in views]
    return all(
        torch.equal(a.vectors_bpd, b.vectors_bpd) for a, b in zip(together, alone, strict=True)
    )
