"""The three sparse products of `kernels.py` for CUDA, in Triton.

None of them has to know on the host how many pairs a view has, so a step never waits for the
device.  Sums run in one order, without atomics: the same input gives the same bits.

Each program makes one row of the result (one pair, for `dots`) and walks along it in blocks.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls
from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl

if TYPE_CHECKING:
    from torch import Tensor

    from pytest_crossdiff.engine.sparse.kernels import ActiveFeatures

BLOCK = 512
"""Numbers of a row that a program holds at once."""


def decode(active: ActiveFeatures, dec_pd: Tensor, features: slice) -> Tensor:
    """Sum of value · direction over a token's active features of the view, shape (t, d)."""
    token, feature = active.token[active.by_token], active.feature[active.by_token]
    count = len(active.starts) - 1
    place = token * count + feature
    every = torch.arange(active.tokens, device=token.device) * count
    begin = torch.searchsorted(place, every + features.start)
    end = torch.searchsorted(place, every + features.stop)
    made_td = dec_pd.new_empty(active.tokens, dec_pd.shape[1])
    _sum_rows(feature - features.start, active.value[active.by_token], begin, end, dec_pd, made_td)
    return made_td


def outer(
    active: ActiveFeatures, weight_n: Tensor, x_td: Tensor, features: slice, out_pd: Tensor
) -> None:
    """Set `out_pd` to the sum of weight · x over the tokens where each feature is active."""
    starts = active.starts[features.start : features.stop + 1]
    _sum_rows(active.token, weight_n, starts[:-1], starts[1:], x_td, out_pd)


def dots(active: ActiveFeatures, dec_pd: Tensor, x_td: Tensor, features: slice) -> Tensor:
    """Direction · x of each pair of the view, 0 for other pairs, shape (n,)."""
    found = torch.zeros_like(active.value)
    if len(found):
        dec_pd, x_td = dec_pd.contiguous(), x_td.contiguous()
        _dots[(len(found),)](
            active.feature - features.start, active.token, dec_pd, x_td, found, *dec_pd.shape, BLOCK
        )
    return found


def _sum_rows(
    row_n: Tensor, weight_n: Tensor, begin_b: Tensor, end_b: Tensor, rows: Tensor, out: Tensor
) -> None:
    """out[b] = sum over n from begin_b to end_b of weight_n · rows[row_n]."""
    count, width = out.shape
    if count:
        grid = (count, triton.cdiv(width, BLOCK))
        _sums[grid](row_n, weight_n, begin_b, end_b, rows.contiguous(), out, width, BLOCK)


@triton.jit
def _sums(row_n, weight_n, begin_b, end_b, rows, out, width, block: tl.constexpr):
    b = tl.program_id(0)
    column = tl.program_id(1) * block + tl.arange(0, block)
    inside = column < width
    total = tl.zeros((block,), dtype=tl.float32)
    for n in range(tl.load(begin_b + b), tl.load(end_b + b)):
        row = tl.load(row_n + n) * width + column
        total += tl.load(weight_n + n) * tl.load(rows + row, mask=inside, other=0.0)
    tl.store(out + b.to(tl.int64) * width + column, total, mask=inside)


@triton.jit
def _dots(feature_n, token_n, dec, x, out_n, count, width, block: tl.constexpr):
    n = tl.program_id(0)
    feature = tl.load(feature_n + n)
    if (feature >= 0) & (feature < count):
        token = tl.load(token_n + n)
        total = tl.zeros((block,), dtype=tl.float32)
        for start in range(0, width, block):
            column = start + tl.arange(0, block)
            inside = column < width
            direction = tl.load(dec + feature * width + column, mask=inside, other=0.0)
            total += direction * tl.load(x + token * width + column, mask=inside, other=0.0)
        tl.store(out_n + n, tl.sum(total))
