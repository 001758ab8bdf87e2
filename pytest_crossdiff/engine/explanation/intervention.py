"""A forward pass with another residual stream after the hook point.

Only the blocks behind the hook point run anew: those up to it give back what they gave before.
Nothing depends on the model's family.

Axes: b texts of a batch, p positions, d model width, v vocabulary, s vectors.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from pytest_crossdiff.engine.models.blocks import supported_inputs
from pytest_crossdiff.engine.models.loading import silence_transformers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import nn

    from pytest_crossdiff.engine.models.loaded import LoadedModel


class Recording(NamedTuple):
    """A pass as the model makes it: its inputs, what each block gave, and what came out (see
    `_forward`).
    """

    inputs_bp: dict[str, Tensor]
    outputs: list[object]
    out: Tensor


@torch.inference_mode()
def record(
    loaded: LoadedModel, input_ids: Tensor, attention_mask: Tensor | None = None
) -> Recording:
    """Run the whole model; input_ids, attention_mask: shape (b, p), without a mask all is text."""
    mask_bp = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    inputs_bp = {
        "input_ids": input_ids.to(loaded.device),
        "attention_mask": mask_bp.to(loaded.device),
    }
    outputs: list[object] = [None] * len(loaded.blocks)

    def keep(i: int) -> Callable[..., None]:
        def hook(_module: nn.Module, _args: object, output: object) -> None:
            outputs[i] = _with_stream(
                output, residual_stream(output).clone()
            )  # lest a later one write on it

        return hook

    handles = [block.register_forward_hook(keep(i)) for i, block in enumerate(loaded.blocks)]
    try:
        out = _forward(loaded, inputs_bp)
    finally:
        for handle in handles:
            handle.remove()
    return Recording(inputs_bp, outputs, out)


@torch.inference_mode()
def replay(loaded: LoadedModel, recorded: Recording, change_bpd: Tensor) -> Tensor:
    """What comes out when `change_bpd` is added to the residual stream after the loaded layer."""
    stream = residual_stream(recorded.outputs[loaded.layer])
    changed = (stream.float() + change_bpd.to(loaded.device)).to(stream.dtype)
    fixed_outputs = [
        *recorded.outputs[: loaded.layer],
        _with_stream(recorded.outputs[loaded.layer], changed),
    ]
    with _replaced_outputs(loaded.blocks, fixed_outputs):
        return _forward(loaded, recorded.inputs_bp)


@torch.inference_mode()
def read_out(loaded: LoadedModel, recorded: Recording, x_bpd: Tensor) -> Tensor:
    """What the model makes of `x_bpd` as the output of its last block."""
    last = recorded.outputs[-1]
    x_bpd = x_bpd.to(loaded.device, residual_stream(last).dtype)
    with _replaced_outputs(loaded.blocks, [*recorded.outputs[:-1], _with_stream(last, x_bpd)]):
        return _forward(loaded, recorded.inputs_bp)


@contextlib.contextmanager
def steered(loaded: LoadedModel, change_bd: Tensor) -> Iterator[None]:
    """Inside, `change_bd` is added to the residual stream at every position of each text."""
    change_b1d = change_bd[:, None].to(loaded.device)

    def add(_module: nn.Module, _args: object, output: object) -> object:
        stream = residual_stream(output)
        return _with_stream(output, (stream.float() + change_b1d).to(stream.dtype))

    handle = loaded.blocks[loaded.layer].register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()


def residual_stream(output: object) -> Tensor:
    """The residual stream in a block's output."""
    stream = output[0] if isinstance(output, (tuple, list)) else output
    assert isinstance(stream, Tensor)
    return stream


def _with_stream(output: object, stream: Tensor) -> object:
    """A block's output with another residual stream in it."""
    if isinstance(output, (tuple, list)):
        return type(output)([stream, *output[1:]])
    return stream


def _forward(loaded: LoadedModel, inputs_bp: dict[str, Tensor]) -> Tensor:
    """The logits, shape (b, p, v), or without a head the last hidden state, shape (b, p, d)."""
    model: Any = loaded.model if loaded.head else loaded.model.base_model
    with silence_transformers():
        made = model(**supported_inputs(model, inputs_bp))
    out = made.logits if loaded.head else made[0]
    assert isinstance(out, Tensor)
    return out


@contextlib.contextmanager
def _replaced_outputs(
    blocks: nn.ModuleList | nn.Sequential, fixed_outputs: Sequence[object]
) -> Iterator[None]:
    """Inside, the first blocks don't compute but give what they are `given`."""

    def giving(output: object) -> Callable[..., object]:
        return lambda *_args, **_others: output

    changed = list(zip(blocks, fixed_outputs, strict=False))
    before = [vars(block).get("forward") for block, _ in changed]
    try:
        for block, output in changed:
            vars(block)["forward"] = giving(output)
        yield
    finally:
        for (block, _), forward in zip(changed, before, strict=True):
            del vars(block)["forward"]
            if forward is not None:
                vars(block)["forward"] = forward
