"""A forward pass with another residual stream after the hook point.

Only the blocks behind the hook point run again: those up to it give back what they gave before.
Nothing depends on the model's family.

Axes: b texts of a batch, p positions, d model width, v vocabulary, s vectors.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from pytest_crossdiff.engine.models.loading.load import silence_transformers
from pytest_crossdiff.engine.models.reading.blocks import supported_inputs
from pytest_crossdiff.engine.models.reading.passes import intercepted
from pytest_crossdiff.engine.models.reading.predictions import logits_in
from pytest_crossdiff.engine.models.reading.streams import tensor_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.engine.models.reading.passes import Compute


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

    def keep(i: int, compute: Compute) -> object:
        output = compute()
        # A copy, lest a later block write on it.
        outputs[i] = _with_stream(loaded, output, _stream(loaded, output, input_ids).clone())
        return output

    with intercepted(loaded.blocks, keep):
        out = _forward(loaded, inputs_bp)
    return Recording(inputs_bp, outputs, out)


@torch.inference_mode()
def replay(loaded: LoadedModel, recorded: Recording, change_bpd: Tensor) -> Tensor:
    """What comes out when `change_bpd` is added to the residual stream after the loaded layer."""
    output, ids_bp = recorded.outputs[loaded.layer], recorded.inputs_bp["input_ids"]
    stream = _stream(loaded, output, ids_bp)
    changed = (stream.float() + change_bpd.to(loaded.device)).to(stream.dtype)
    fixed_outputs = [*recorded.outputs[: loaded.layer], _with_stream(loaded, output, changed)]
    with _replaced_outputs(loaded, fixed_outputs):
        return _forward(loaded, recorded.inputs_bp)


@torch.inference_mode()
def read_out(loaded: LoadedModel, recorded: Recording, x_bpd: Tensor) -> Tensor:
    """What the model makes of `x_bpd` as the output of its last block."""
    last, ids_bp = recorded.outputs[-1], recorded.inputs_bp["input_ids"]
    x_bpd = x_bpd.to(loaded.device, _stream(loaded, last, ids_bp).dtype)
    fixed_outputs = [*recorded.outputs[:-1], _with_stream(loaded, last, x_bpd)]
    with _replaced_outputs(loaded, fixed_outputs):
        return _forward(loaded, recorded.inputs_bp)


@contextlib.contextmanager
def steered(loaded: LoadedModel, change_bd: Tensor) -> Iterator[None]:
    """Inside, `change_bd` is added to the residual stream at every position of each text."""
    change_b1d = change_bd[:, None].to(loaded.device)

    def add(i: int, compute: Compute) -> object:
        output = compute()
        if i != loaded.layer:
            return output
        stream = loaded.layout.read(output, _positions(loaded, output))
        return _with_stream(loaded, output, (stream.float() + change_b1d).to(stream.dtype))

    with intercepted(loaded.blocks, add):
        yield


def _positions(loaded: LoadedModel, output: object) -> int:
    return int(tensor_of(output).shape[loaded.layout.position])


def _stream(loaded: LoadedModel, output: object, ids_bp: Tensor) -> Tensor:
    """The residual stream in a block's output."""
    return loaded.layout.read(output, ids_bp.shape[1])


def _with_stream(loaded: LoadedModel, output: object, stream: Tensor) -> object:
    """A block's output with another residual stream in it."""
    return loaded.layout.write(output, stream)


def _forward(loaded: LoadedModel, inputs_bp: dict[str, Tensor]) -> Tensor:
    """The logits, shape (b, p, v), or without a head the last hidden state, shape (b, p, d)."""
    model: Any = loaded.model
    if not loaded.head:
        part = loaded.reader or loaded.model
        model = part.base_model if part is loaded.model else part
    with silence_transformers():
        made = model(**supported_inputs(model, inputs_bp))
    out = (
        logits_in(made, loaded.architecture, inputs_bp["input_ids"].shape)
        if loaded.head
        else made[0]
    )
    assert isinstance(out, Tensor)
    return out


@contextlib.contextmanager
def _replaced_outputs(loaded: LoadedModel, fixed_outputs: Sequence[object]) -> Iterator[None]:
    """Inside, the first passes don't compute but give `fixed_outputs`."""

    def give(i: int, compute: Compute) -> object:
        return fixed_outputs[i] if i < len(fixed_outputs) else compute()

    with intercepted(loaded.blocks, give):
        yield
