"""Batches of texts that would change each other, read in parts: of one length, or one by one.

Axes: b texts of a batch, p positions, d model width, w words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pytest_crossdiff.engine.models.reading.predictions import ModelReadout

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from pytest_crossdiff.engine.models.reading.probing import Batching


def groups_of(batching: Batching, ids_bp: Tensor, mask_bp: Tensor) -> list[tuple[list[int], int]]:
    """Rows that are read together and their length."""
    lengths = mask_bp.sum(1).tolist()
    sources = (mask_bp.bool() & (ids_bp < 0)).sum(1).tolist()
    kinds = list(zip(lengths, sources, strict=True))
    if batching == "padded" or (batching == "same length" and len(set(kinds)) <= 1):
        return [(list(range(len(lengths))), mask_bp.shape[1])]
    if batching == "one text":
        return [([row], length) for row, length in enumerate(lengths)]
    rows = {kind: [i for i, own in enumerate(kinds) if own == kind] for kind in set(kinds)}
    return [(rows[kind], kind[0]) for kind in sorted(rows)]


def read_groups(
    read_part: Callable[[Tensor, Tensor, Tensor | None], ModelReadout],
    ids_bp: Tensor,
    mask_bp: Tensor,
    counted_bp: Tensor | None,
    groups: list[tuple[list[int], int]],
) -> ModelReadout:
    """Read groups of rows without padding; zeros stand where padding was."""
    vectors_bpd: Tensor | None = None
    probability_w: Tensor | None = None
    nll_bp = torch.full(ids_bp.shape, torch.nan)
    for rows, length in groups:
        if not length:
            continue
        counted = None if counted_bp is None else counted_bp[rows, :length]
        part = read_part(ids_bp[rows, :length], mask_bp[rows, :length], counted)
        probability_w = part.probability_w + (0 if probability_w is None else probability_w)
        if vectors_bpd is None:
            vectors_bpd = part.vectors_bpd.new_zeros(*ids_bp.shape, part.vectors_bpd.shape[-1])
        vectors_bpd[torch.tensor(rows), :length] = part.vectors_bpd
        nll_bp[torch.tensor(rows), :length] = part.nll_bp
    assert vectors_bpd is not None, "a batch of empty texts"
    assert probability_w is not None
    return ModelReadout(vectors_bpd, nll_bp, probability_w)
