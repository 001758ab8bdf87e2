"""The k-th largest of numbers that lie on several processes, exactly, by counting.

A number's bits are read four at a time, the highest first: how many numbers have which, among those
that agree with the k-th largest so far.  Only the counts are exchanged.

Axes: r rows, each with a k of its own; n numbers of a row on this process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from pytest_crossdiff.engine.dictionary.sharded.exchange import Exchange

BITS, DIGIT = 32, 4
ABSENT = -1
"""The key of a place that holds no number."""


def keys_of(x: Tensor) -> Tensor:
    """Whole numbers from 0 on that are ordered as the float32 numbers of `x` are."""
    bits = x.float().contiguous().view(torch.int32).long()
    return torch.where(bits < 0, ~bits, bits + 2**31) if x.numel() else bits


def kth_largest(keys_rn: Tensor, k_r: Tensor, exchange: Exchange) -> Tensor:
    """Each row's k-th largest key over all processes, shape (r,); 0 where a row has fewer than k.

    keys_rn: those of this process, `ABSENT` where there is none.  k_r: 1 or more.
    """
    rows, width = len(keys_rn), 2**DIGIT
    prefix_r = torch.zeros(rows, dtype=torch.long, device=keys_rn.device)
    left_r = k_r.clone()
    for shift in range(BITS - DIGIT, -1, -DIGIT):
        agree_rn = (keys_rn >> (shift + DIGIT) == prefix_r[:, None]) & (keys_rn >= 0)
        digit_rn = (keys_rn >> shift) & (width - 1)
        counts_rw = torch.zeros(rows, width, dtype=torch.int32, device=keys_rn.device)
        counts_rw.scatter_add_(1, digit_rn, agree_rn.int())
        counts_rw = exchange.count(counts_rw).long()
        from_top_rw = counts_rw.flip(1).cumsum(1).flip(1)  # this digit or a higher one
        enough_rw = from_top_rw >= left_r[:, None]
        digit_r = enough_rw.sum(1).sub(1).clamp(min=0)
        higher_r = (from_top_rw - counts_rw).gather(1, digit_r[:, None])[:, 0]
        left_r = torch.where(enough_rw.any(1), left_r - higher_r, left_r)
        prefix_r = (prefix_r << DIGIT) | torch.where(enough_rw.any(1), digit_r, 0)
    return prefix_r
