"""The sparse products of a training step, with their gradients.

Only k of m features are active on a token, so after the encoder's dense product everything touches
the active (token, feature) pairs alone (Gao et al. 2024, section on kernels).

Axes: n active pairs, t tokens, p features of a model, d its width.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Active(NamedTuple):
    """The active pairs, in the order of their tokens: token_n, feature_n, and in `place` where each
    stands among all pairs of the batch; tokens and features say how many there are of either.
    """

    token: Tensor
    feature: Tensor
    place: Tensor
    tokens: int
    features: int

    def within(self, features: slice) -> Active:
        """The pairs whose feature lies in `features`, counted from its start."""
        if features.start == 0 and features.stop == self.features:
            return self
        inside = (self.feature >= features.start) & (self.feature < features.stop)
        return Active(
            self.token[inside],
            self.feature[inside] - features.start,
            self.place[inside],
            self.tokens,
            features.stop - features.start,
        )

    def by_token(self, value_n: Tensor) -> Tensor:
        """The values as a sparse matrix, shape (t, p)."""
        return _csr(self.token, self.feature, value_n, self.tokens, self.features)

    def by_feature(self, value_n: Tensor) -> Tensor:
        """Its transpose, shape (p, t)."""
        order = self.feature.argsort(stable=True)
        token, feature = self.token[order], self.feature[order]
        return _csr(feature, token, value_n[order], self.features, self.tokens)


def active(kept_tm: Tensor) -> Active:
    """The pairs where the mask is set."""
    token, feature = kept_tm.nonzero(as_tuple=True)
    place = torch.arange(len(token), device=token.device)
    return Active(token, feature, place, *kept_tm.shape)


@functools.cache
def _acknowledge_beta() -> None:
    """Have torch say once, unheard, that its CSR tensors are in beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.eye(1).to_sparse_csr()


def _csr(row: Tensor, column: Tensor, value: Tensor, rows: int, columns: int) -> Tensor:
    _acknowledge_beta()
    counts = torch.bincount(row, minlength=rows)
    starts = torch.cat((counts.new_zeros(1), counts.cumsum(0)))
    return torch.sparse_csr_tensor(
        starts.int(), column.int(), value, (rows, columns), check_invariants=False
    )


class _Decode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value_n: Tensor, dec_pd: Tensor, on: Active) -> Tensor:
        ctx.save_for_backward(value_n, dec_pd)
        ctx.on = on
        return on.by_token(value_n) @ dec_pd

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (grad_td,) = gradients
        value_n, dec_pd = ctx.saved_tensors
        pattern = ctx.on.by_token(torch.zeros_like(value_n))
        dots = torch.sparse.sampled_addmm(pattern, grad_td.contiguous(), dec_pd.T, beta=0.0)
        return dots.values(), ctx.on.by_feature(value_n) @ grad_td, None


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x_td: Tensor, _enc_pd: Tensor, on: Active) -> Tensor:
        ctx.save_for_backward(x_td)
        ctx.on = on
        return x_td.new_zeros(len(on.token))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        (grad_n,) = gradients
        (x_td,) = ctx.saved_tensors
        return None, ctx.on.by_feature(grad_n) @ x_td, None


def decode_active(value_n: Tensor, dec_pd: Tensor, on: Active) -> Tensor:
    """Sum of value · direction over the active features of each token, shape (t, d)."""
    made: Tensor = _Decode.apply(value_n, dec_pd, on)  # type: ignore[no-untyped-call]
    return made


def encode_active(x_td: Tensor, enc_pd: Tensor, on: Active) -> Tensor:
    """Zeros, shape (n,), with the gradient of x·encoder row at the active pairs.

    Their values come from the dense product that the selection needed anyway; this adds what that
    product's gradient is on them, and on nothing else.
    """
    made: Tensor = _Encode.apply(x_td, enc_pd, on)  # type: ignore[no-untyped-call]
    return made
