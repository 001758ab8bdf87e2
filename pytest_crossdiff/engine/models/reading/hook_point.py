"""Where a loaded model is read: which of its parts runs, through which passes, and where the
residual stream lies in what a block returns.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import torch

from pytest_crossdiff.engine.models.loading.load import silence_transformers
from pytest_crossdiff.engine.models.reading.blocks import (
    DECODER,
    block_output,
    blocks_at,
    candidate_lists,
    find_blocks,
    layer_index,
    resolve_blocks_name,
)
from pytest_crossdiff.engine.models.reading.forward_pass import ForwardPassError, forward_errors
from pytest_crossdiff.engine.models.reading.predictions import token_logits
from pytest_crossdiff.engine.models.reading.probing import (
    LAYOUT_TOKENS,
    choose_list,
    layout_of,
    order_of_blocks,
    without_padding,
)
from pytest_crossdiff.engine.models.reading.streams import PLAIN, StreamLayout
from pytest_crossdiff.engine.models.reading.text_part import (
    encoder_of,
    heads_inside,
    language_model,
)
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from pytest_crossdiff.settings.kinds import Layer


class HookPoint(NamedTuple):
    """blocks_name: dotted name of the list of blocks, "" where only the output is read and there is
    none.  passes: the calls of blocks in their order.  layer: of these, the one that is read; their
    number for the output.  reader: what is run to read a block: the model, its encoder, or its
    language model where it can't be run on text alone.
    """

    blocks_name: str
    passes: Sequence[nn.Module]
    layer: int
    layers: int
    layout: StreamLayout
    reader: nn.Module
    width: int


def find_hook_point(
    model: PreTrainedModel, ids_1p: Tensor, layer: Layer, named: str, source: str
) -> HookPoint:
    """Find where `model` is read at `layer`, by running it on a few tokens.

    ids_1p: of a text.  named: the user's list of blocks, or "".  Raises `ModelError`.
    """
    ids_1p = ids_1p[:, :LAYOUT_TOKENS]
    if layer == OUTPUT:
        return _behind_the_blocks(model, ids_1p, named)
    with silence_transformers():
        name = _list_name(model, ids_1p, named, source)
        blocks = blocks_at(model, name)
        reader, order = _reader(model, blocks, ids_1p)
        passes = order or blocks
        index = layer_index(layer, len(passes), source=source)
        try:
            with forward_errors(model, model.name_or_path or type(model).__name__, source):
                layout = layout_of(reader, passes, index, ids_1p)
                inputs = without_padding(ids_1p)
                width = block_output(reader, passes, inputs, index, layout).shape[-1]
        except ForwardPassError:
            raise
        except ModelError as error:
            raise ModelError(
                f"the block {name}.{index} of {type(model).__name__} can't be read: {error.what}",
                source=source,
                remedy="read another layer, or name another list of blocks: "
                "crossdiff_baseline_blocks or crossdiff_candidate_blocks",
            ) from error
    return HookPoint(name, passes, index, len(passes), layout, reader, width)


def _behind_the_blocks(model: PreTrainedModel, ids_1p: Tensor, named: str) -> HookPoint:
    """The output: its blocks are counted where they can be found, and are not needed."""
    passes: Sequence[nn.Module] = []
    name = ""
    try:
        with silence_transformers():
            decoder = DECODER if model.config.is_encoder_decoder else ""
            name = find_blocks(model, named or resolve_blocks_name(model, decoder))
            blocks = blocks_at(model, name)
            passes = _reader(model, blocks, ids_1p)[1] or blocks
    except ModelError:
        if named:
            raise
    layers = len(passes) or 1
    return HookPoint(name, passes, layers, layers, PLAIN, _predictor(model, ids_1p), 0)


def _predictor(model: PreTrainedModel, ids_1p: Tensor) -> nn.Module:
    """The model, or where it needs more than text the language model in it that predicts alone."""
    for part in (model, *heads_inside(model)):
        with contextlib.suppress(Exception), torch.inference_mode():
            token_logits(part, without_padding(ids_1p))
            return part
    return model


def _list_name(model: PreTrainedModel, ids_1p: Tensor, named: str, source: str) -> str:
    if named or len(candidate_lists(model)) < 2:
        return find_blocks(model, named, source=source)
    for reader in _readers(model, []):
        found = choose_list(model, reader, ids_1p)
        if found:
            return found
    return find_blocks(model, named, source=source)


def _readers(model: PreTrainedModel, blocks: Sequence[nn.Module]) -> Iterator[nn.Module]:
    """What can be run to read the blocks, the best first."""
    encoder = encoder_of(model)
    if encoder is not None and _contains(encoder, blocks):
        yield encoder
        return
    yield model
    inner = language_model(model)
    if inner is not None and _contains(inner, blocks):
        yield inner


def _contains(module: nn.Module, blocks: Sequence[nn.Module]) -> bool:
    inside = {id(part) for part in module.modules()}
    return all(id(block) in inside for block in blocks)


def _reader(
    model: PreTrainedModel, blocks: Sequence[nn.Module], ids_1p: Tensor
) -> tuple[nn.Module, list[nn.Module] | None]:
    """The first part of the model that runs on text alone, and the order of its passes where blocks
    run several times.  Where none runs to its end, the first.
    """
    readers = list(_readers(model, blocks))
    for reader in readers:
        with contextlib.suppress(Exception):  # reading the block says what is wrong
            return reader, order_of_blocks(reader, blocks, ids_1p)
    return readers[0], None
