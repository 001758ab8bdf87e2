"""The equations of a training step, where only the encoder's product is dense.

    f = relu(E x + e) where f·‖d‖ is among the k·t largest, else 0          (BatchTopK)
    error = x - D f - b      loss = Σ error² / size      g = ∂loss / ∂(D f + b) = -2 error / size
    ∂D = g fᵀ     ∂b = Σ g     ∂f = Dᵀ g where f > 0     ∂E = ∂f xᵀ     ∂e = Σ ∂f

The gradients are written by hand, so that nothing of the size tokens x features has to be kept or
filled for them; the tests compare them with autograd's.  Axes as in `crosscoder.py`; v dead
features, n active pairs.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from pytest_crossdiff.engine.dictionary.crosscoder import Outputs
from pytest_crossdiff.engine.sparse import kernels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from pytest_crossdiff.engine.dictionary.crosscoder import (
        Crosscoder,
        CrosscoderConfig,
        Inputs,
        View,
    )
    from pytest_crossdiff.engine.sparse.kernels import ActiveFeatures

AUX_WEIGHT = 1 / 32


@functools.cache
def _products(device: torch.device) -> ModuleType:
    """Where the sparse products for a device are: in Triton for CUDA, where that is installed."""
    if device.type == "cuda" and importlib.util.find_spec("triton") is not None:
        from pytest_crossdiff.engine.sparse import kernels_triton

        return kernels_triton
    return kernels


def squared_error(errors: Outputs) -> Tensor:
    """Sum over everything."""
    return torch.stack([torch.linalg.vector_norm(e) ** 2 for e in errors if e is not None]).sum()


def decoded(model: Crosscoder, active: ActiveFeatures) -> list[Tensor]:
    """What the active features make of each view, without what the decoder adds to every token."""
    decode = _products(active.value.device).decode
    return [decode(active, model.rows(view, "dec"), view.features) for view in model.config.views]


@torch.no_grad()
def reconstruction_errors(model: Crosscoder, x: Inputs, active: ActiveFeatures) -> Outputs:
    """Target minus what the active features make of it."""
    errors: list[Tensor | None] = [None] * len(Outputs._fields)
    for view, made in zip(model.config.views, decoded(model, active), strict=True):
        if view.target < 2:
            made.add_(model.dec_bias_b if view.candidate else model.dec_bias_a)
        errors[view.target] = torch.sub(model.read(x, view), made, out=made)
    return Outputs(*errors)


def set_gradients(
    model: Crosscoder, x: Inputs, errors: Outputs, active: ActiveFeatures, size: int
) -> None:
    """Set every parameter's gradient of Σ error² / size."""
    views, products = model.config.views, _products(active.value.device)
    grads = [e * (-2 / size) for e in errors if e is not None]
    grad_n = torch.zeros_like(active.value)
    for view, grad_td in zip(views, grads, strict=True):
        grad_n += products.dots(active, model.rows(view, "dec"), grad_td, view.features)
    grad_n *= active.value > 0
    for view, grad_td in zip(views, grads, strict=True):
        products.outer(active, active.value, grad_td, view.features, _gradient(model, view, "dec"))
        read_td = model.read(x, view)
        products.outer(active, grad_n, read_td, view.features, _gradient(model, view, "enc"))
    model.enc_bias_m.grad = torch.segment_reduce(grad_n, "sum", offsets=active.starts)
    biases = (model.dec_bias_a, model.dec_bias_b)
    for i, bias in enumerate(biases):
        of_models = model.config.reconstructs_models
        bias.grad = grads[i].sum(0) if of_models else torch.zeros_like(bias)


class DeadFeatures(NamedTuple):
    """Dead features: `indices` into m, ascending, shape (v,), and which of them each view has."""

    indices: Tensor
    within: tuple[slice, ...]


def dead_features(model: Crosscoder, dead_m: Tensor) -> DeadFeatures | None:
    """The features where the mask is set; None where it is nowhere."""
    indices = dead_m.nonzero().flatten().cpu()
    if not len(indices):
        return None
    ends = [[v.features.start, v.features.stop] for v in model.config.views]
    within = tuple(slice(*torch.searchsorted(indices, torch.tensor(end)).tolist()) for end in ends)
    return DeadFeatures(indices.to(dead_m.device), within)


def add_auxiliary(
    model: Crosscoder, x: Inputs, errors: Outputs, pre_mt: Tensor, dead: DeadFeatures, size: int
) -> None:
    """AuxK (Gao et al. 2024, A.2): the dead features reconstruct what the living leave, with the
    largest of their pre-activations on each token.  Adds AUX_WEIGHT times that loss's gradient.

    No ReLU stands before the selection, so that the gradient reaches the encoder rows of features
    whose pre-activation is negative everywhere.
    """
    pre_tv = pre_mt[dead.indices].T.contiguous()
    k = auxiliary_count(model.config, len(dead.indices))
    kept_tv = torch.zeros_like(pre_tv)
    kept_tv.scatter_(1, pre_tv.topk(k, dim=1, sorted=False).indices, 1.0)
    f_tv = pre_tv * kept_tv
    left = auxiliary_errors(model, errors, auxiliary_decoded(model, f_tv, dead))
    add_auxiliary_gradients(model, x, left, f_tv, kept_tv, dead, size)


def auxiliary_count(config: CrosscoderConfig, dead: int) -> int:
    """How many of so many dead features a token has."""
    return min(max(1, config.width_a // 2), dead)


def auxiliary_decoded(model: Crosscoder, f_tv: Tensor, dead: DeadFeatures) -> list[Tensor]:
    """What activations of the dead features make of each view."""
    return [
        f_tv[:, at] @ model.weights(view, "dec")[rows] for view, at, rows in _places(model, dead)
    ]


def auxiliary_errors(model: Crosscoder, errors: Outputs, made: Sequence[Tensor]) -> list[Tensor]:
    """What the dead features leave of each view's error."""
    left = []
    for view, made_td in zip(model.config.views, made, strict=True):
        error_td = errors[view.target]
        assert error_td is not None
        left.append(error_td - made_td)
    return left


def add_auxiliary_gradients(
    model: Crosscoder,
    x: Inputs,
    left: Sequence[Tensor],
    f_tv: Tensor,
    kept_tv: Tensor,
    dead: DeadFeatures,
    size: int,
) -> None:
    """Add those of the auxiliary loss.  left: by view; kept_tv: 1 where f_tv is not 0 by choice."""
    grad_tv = torch.zeros_like(f_tv)
    places = _places(model, dead)
    for (view, at, rows), left_td in zip(places, left, strict=True):
        dec, grad_td = model.weights(view, "dec"), left_td * (-2 * AUX_WEIGHT / size)
        _add_rows(dec, rows, f_tv[:, at].T @ grad_td)
        grad_tv[:, at] += grad_td @ dec[rows].T
    grad_tv *= kept_tv
    for view, at, rows in places:
        enc = model.weights(view, "enc")
        _add_rows(enc, rows, grad_tv[:, at].T @ model.read(x, view))
    _add_rows(model.enc_bias_m, dead.indices, grad_tv.sum(0))


def _places(model: Crosscoder, dead: DeadFeatures) -> list[tuple[View, slice, Tensor]]:
    """For each view its dead features: their places among the dead, and in its matrices."""
    return [
        (view, at, dead.indices[at] + (view.rows.start - view.features.start))
        for view, at in zip(model.config.views, dead.within, strict=True)
    ]


def _add_rows(parameter: Tensor, rows: Tensor, gradient: Tensor) -> None:
    assert parameter.grad is not None
    parameter.grad.index_add_(0, rows, gradient)


def _gradient(model: Crosscoder, view: View, which: str) -> Tensor:
    """Where the gradient of a view's rows is kept."""
    weights = model.weights(view, which)
    if weights.grad is None:
        weights.grad = torch.zeros_like(weights)
    return weights.grad[view.rows]
