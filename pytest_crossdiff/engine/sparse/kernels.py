"""Selection and the sparse products of a training step.

Only k of m features are active on a token, so after the encoder's dense product everything touches
the active (token, feature) pairs alone (Gao et al. 2024, section on kernels).  Plain torch for
every device; `kernels_triton.py` has the three products for CUDA without waiting for the device.

Axes: n active pairs, t tokens, m features, p features of a view, d the width of what it reads.
"""

from __future__ import annotations

import functools
import warnings
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

if TYPE_CHECKING:
    from collections.abc import Sequence

GUESS = 0.9
"""Share of the last batch's cut that this batch's is guessed to exceed."""
SAMPLE = 16
"""Where there is no last batch, every so manieth token gives the guess."""


class ActiveFeatures(NamedTuple):
    """The active pairs, by feature and then by token: token_n, feature_n, value_n.

    starts: where each feature's pairs begin, shape (m + 1,).  by_token_n: their places in the order
    of their tokens.  tokens: how many tokens the batch has.
    """

    token: Tensor
    feature: Tensor
    value: Tensor
    starts: Tensor
    by_token: Tensor
    tokens: int

    def firing_counts(self) -> Tensor:
        """How often each feature fires, shape (m,)."""
        often_m = torch.zeros(len(self.starts) - 1, device=self.value.device)
        return often_m.index_add_(0, self.feature, (self.value > 0).float())

    def select_features(self, chosen: Tensor) -> ActiveFeatures:
        """The pairs of the `chosen` features (indices into m, ascending), which are 0 to p then."""
        column_m = torch.full_like(self.starts[1:], -1)
        column_m[chosen] = torch.arange(len(chosen), device=chosen.device)
        column_n = column_m[self.feature]
        of = column_n >= 0
        return build_active(self.token[of], column_n[of], self.value[of], self.tokens, len(chosen))

    def columns(self, chosen: Tensor) -> Tensor:
        """Activations of the `chosen` features (indices into m, ascending), shape (t, p)."""
        return self.select_features(chosen).dense()

    def dense(self) -> Tensor:
        """Activations of all features, shape (t, m)."""
        made_mt = self.value.new_zeros(len(self.starts) - 1, self.tokens)
        made_mt[self.feature, self.token] = self.value
        return made_mt.T

    def squares(self) -> Tensor:
        """The sum of each feature's squared activations, shape (m,)."""
        made_m = self.value.new_zeros(len(self.starts) - 1)
        return made_m.index_add_(0, self.feature, self.value.square())

    def sums(self, x_td: Tensor) -> Tensor:
        """Of activation times x over the tokens, for each feature, shape (m, d)."""
        made_md = x_td.new_empty(len(self.starts) - 1, x_td.shape[1])
        outer(self, self.value, x_td, slice(0, len(made_md)), made_md)
        return made_md


def add_product(out_pt: Tensor, rows_pd: Tensor, x_td: Tensor) -> None:
    """Add rows · x to `out_pt`, the one dense product of a step."""
    if _has_bfloat16(out_pt.device):
        add_product_of_halves(out_pt, rows_pd, x_td)
    else:
        out_pt.addmm_(rows_pd, x_td.T)


def add_product_of_halves(out_pt: Tensor, rows_pd: Tensor, x_td: Tensor) -> None:
    """The same with both rounded to bfloat16 and the products, which are exact, summed in float32:
    sixteen times as fast on a GPU that has it, on other devices only the same numbers.
    """
    rows_pd, x_td = rows_pd.bfloat16(), x_td.bfloat16()
    if out_pt.is_cuda:
        out_pt += torch.mm(rows_pd, x_td.T, out_dtype=out_pt.dtype)
    else:
        out_pt.addmm_(rows_pd.float(), x_td.float().T)


@functools.cache
def _has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 itself, and torch gives the sums in float32 (2.8)."""
    known = torch.__version__ >= torch.torch_version.TorchVersion("2.8")
    return known and device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def build_active(
    token_n: Tensor, feature_n: Tensor, value_n: Tensor, tokens: int, features: int
) -> ActiveFeatures:
    """`ActiveFeatures` of pairs that are in order of their features, and within those of their
    tokens.
    """
    every = torch.arange(features + 1, device=feature_n.device)
    starts = torch.searchsorted(feature_n, every)
    return ActiveFeatures(
        token_n, feature_n, value_n, starts, token_n.int().argsort(stable=True), tokens
    )


def select(
    pre_mt: Tensor, norm_m: Tensor, budgets: Sequence[tuple[slice, int]], last: Tensor | None = None
) -> tuple[ActiveFeatures, Tensor]:
    """BatchTopK: in each budget's features the `count` largest scores relu(pre)·norm of the batch;
    and the least kept score of each, 0 where fewer are positive.

    last: the cuts of the last batch.  Most of the pre-activations lie under a share of them and
    are never looked at again; the outcome doesn't depend on it.
    """
    if pre_mt.device.type != "cpu":
        return _select_without_sync(pre_mt, norm_m, budgets)
    if last is None:
        last = torch.stack([_estimated_threshold(pre_mt, norm_m, *budget) for budget in budgets])
    guess = GUESS * last
    found = _select_above(pre_mt, norm_m, budgets, guess)
    return found or _select_above(pre_mt, norm_m, budgets, torch.zeros_like(guess))  # type: ignore[return-value]  # 0 never fails


def _select_above(
    pre_mt: Tensor, norm_m: Tensor, budgets: Sequence[tuple[slice, int]], guess: Tensor
) -> tuple[ActiveFeatures, Tensor] | None:
    """`select` among the scores above `guess`; None where a cut can't be told from them."""
    tokens = pre_mt.shape[1]
    limit_m = torch.full_like(norm_m, torch.inf)
    for (group, _), least in zip(budgets, guess, strict=True):
        limit_m[group] = least / norm_m[group]
    place, feature, value = _places(pre_mt, limit_m)
    score = value * norm_m[feature]
    kept = torch.zeros_like(score, dtype=torch.bool)
    thresholds = torch.zeros_like(guess)
    for i, (group, count) in enumerate(budgets):
        begin, end = torch.searchsorted(feature, torch.tensor([group.start, group.stop])).tolist()
        part = score[begin:end]
        if count <= len(part) and count:
            thresholds[i] = part.kthvalue(len(part) - count + 1).values
        # Dividing by the norm rounds: a cut as low as the guess may have lost its equals.
        if guess[i] > 0 and thresholds[i] <= guess[i] * (1 + 1e-5):
            return None
        kept[begin:end] = (part >= thresholds[i]) & (part > 0) & bool(count)
    chosen = kept.nonzero().flatten()
    place, feature = place[chosen], feature[chosen]
    token = place - feature * tokens
    return build_active(token, feature, value[chosen], tokens, len(norm_m)), thresholds


def select_above(pre_mt: Tensor, norm_m: Tensor, least_m: Tensor) -> ActiveFeatures:
    """The pairs whose score relu(pre)·norm is above what their feature needs."""
    tokens = pre_mt.shape[1]
    place, feature, value = _places(pre_mt, least_m / norm_m * (1 - 1e-5))
    kept = (value > 0) & (value * norm_m[feature] > least_m[feature])
    place, feature, value = place[kept], feature[kept], value[kept]
    return build_active(place - feature * tokens, feature, value, tokens, len(norm_m))


def _places(pre_mt: Tensor, limit_m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where pre-activations are above their feature's limit, in order: the place among all, the
    feature, the value.
    """
    found_mt = pre_mt > limit_m[:, None]
    place = (
        torch.from_numpy(np.flatnonzero(found_mt.numpy()))  # several times as fast as torch's
        if found_mt.device.type == "cpu"
        else found_mt.flatten().nonzero().flatten()
    )
    return (
        place,
        place.div(pre_mt.shape[1], rounding_mode="floor"),
        pre_mt.view(-1)[place],
    )


def _estimated_threshold(pre_mt: Tensor, norm_m: Tensor, group: slice, count: int) -> Tensor:
    """About the cut, from some of the tokens."""
    some = (pre_mt[group, ::SAMPLE] * norm_m[group, None]).flatten()
    if not len(some):
        return some.new_zeros(())
    return some.topk(min(max(1, count // SAMPLE), len(some)), sorted=False).values.min().clamp(0)


def _select_without_sync(
    pre_mt: Tensor, norm_m: Tensor, budgets: Sequence[tuple[slice, int]]
) -> tuple[ActiveFeatures, Tensor]:
    """`select` with a number of pairs that is known beforehand, so that the host needn't wait for
    the device: where fewer scores are positive, the rest are pairs whose value is 0.
    """
    tokens, places, thresholds = pre_mt.shape[1], [], []
    for group, count in budgets:
        score = (pre_mt[group].relu() * norm_m[group, None]).flatten()
        largest = score.topk(min(count, len(score)), sorted=False)
        places.append(largest.indices + group.start * tokens)
        thresholds.append(largest.values.amin() if len(largest.values) else score.new_zeros(()))
    place = torch.cat(places).sort().values
    feature = place.div(tokens, rounding_mode="floor")
    value = pre_mt.view(-1)[place].relu()
    return build_active(place - feature * tokens, feature, value, tokens, len(norm_m)), torch.stack(
        thresholds
    )


def decode(active: ActiveFeatures, dec_pd: Tensor, features: slice) -> Tensor:
    """Sum of value · direction over a token's active features of the view, shape (t, d)."""
    begin, end = _range(active, features)
    order = active.by_token
    if end - begin < len(order):
        order = order[(order >= begin) & (order < end)]
    every = torch.arange(active.tokens + 1, device=order.device)
    return embedding_bag(
        active.feature[order] - features.start,
        dec_pd,
        torch.searchsorted(active.token[order], every),
        mode="sum",
        per_sample_weights=active.value[order],
        include_last_offset=True,
    )


def dots(active: ActiveFeatures, dec_pd: Tensor, x_td: Tensor, features: slice) -> Tensor:
    """Direction · x of each pair of the view, 0 for other pairs, shape (n,)."""
    begin, end = _range(active, features)
    pattern_pt = _by_feature(active, torch.zeros_like(active.value), features)
    found = torch.zeros_like(active.value)
    products = torch.sparse.sampled_addmm(pattern_pt, dec_pd, x_td.T, beta=0.0)
    found[begin:end] = products.values()
    return found


def outer(
    active: ActiveFeatures, weight_n: Tensor, x_td: Tensor, features: slice, out_pd: Tensor
) -> None:
    """Set `out_pd` to the sum of weight · x over the tokens where each of the view's features is
    active.
    """
    torch.addmm(out_pd, _by_feature(active, weight_n, features), x_td, beta=0, out=out_pd)


def _by_feature(active: ActiveFeatures, value_n: Tensor, features: slice) -> Tensor:
    """The view's part of a sparse matrix, shape (p, t)."""
    begin, end = _range(active, features)
    starts = active.starts[features.start : features.stop + 1] - begin
    _acknowledge_beta()
    return torch.sparse_csr_tensor(
        starts.int(),
        active.token[begin:end].int(),
        value_n[begin:end],
        (len(starts) - 1, active.tokens),
        check_invariants=False,
    )


def _range(active: ActiveFeatures, features: slice) -> tuple[int, int]:
    """The pairs of a view lie together: where they begin and end."""
    return int(active.starts[features.start]), int(active.starts[features.stop])


@functools.cache
def _acknowledge_beta() -> None:
    """Have torch say once, unheard, that its CSR tensors are in beta."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.eye(1).to_sparse_csr()
