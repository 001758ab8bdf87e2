"""A model without its weights: what can be known of it before anything expensive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import transformers
from torch import nn

from pytest_crossdiff.engine.models.blocks import find_blocks, layer_index
from pytest_crossdiff.engine.models.loading import CAUSAL, explained, head_of, named_in, need, quiet
from pytest_crossdiff.engine.models.predictions import WIDTH, predicts_nothing
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from pytest_crossdiff.engine.models.references import ModelReference
    from pytest_crossdiff.settings.kinds import Layer


class Skeleton(NamedTuple):
    """architecture, layers, layer: as of a `LoadedModel`.  width: of what is read, by the
    config.  weights: all parameters.  read: those of the blocks that run.  longest: input, in
    tokens, None where the config doesn't say.
    """

    architecture: str
    layers: int
    layer: int
    width: int
    weights: int
    read: int
    longest: int | None


def inspect(
    reference: ModelReference, *, layer: Layer, blocks: str = "", source: str = ""
) -> Skeleton:
    """Build the model of `reference` (of an adapter its base) without weights and find its block.

    Code that a model ships is never run here.  Raises `ModelError`.
    """
    model = _empty(reference, layer, source)
    name = find_blocks(model, named_in(model, blocks), source=source)
    found = model.get_submodule(name)
    assert isinstance(found, (nn.ModuleList, nn.Sequential))
    index = layer_index(layer, len(found), source=source)
    text: Any = model.config.get_text_config()
    return Skeleton(
        architecture=type(model).__name__,
        layers=len(found),
        layer=index,
        width=WIDTH if layer == OUTPUT else int(text.hidden_size),
        weights=sum(p.numel() for p in model.parameters()),
        read=sum(p.numel() for block in list(found)[: index + 1] for p in block.parameters()),
        longest=getattr(text, "max_position_embeddings", None),
    )


def _empty(reference: ModelReference, layer: Layer, source: str) -> transformers.PreTrainedModel:
    if reference.base is not None:
        need("peft", reference, source)
        return _empty(reference.base, layer, source)
    if reference.kind == "gguf":
        need("gguf", reference, source)
    options: dict[str, Any] = {"revision": reference.revision} if reference.revision else {}
    options |= {"gguf_file": reference.file} if reference.file else {}
    with quiet(), explained(reference, source):
        config = transformers.AutoConfig.from_pretrained(reference.location, **options)
        names = [CAUSAL[0]] if reference.file else config.architectures or []
        head, kind = head_of(names, with_head=layer == OUTPUT)
        with torch.device("meta"):
            model = kind.from_config(config)
        if not isinstance(model, transformers.PreTrainedModel):
            raise ModelError(f"{type(model).__name__} is no model of transformers", source=source)
    if layer == OUTPUT and not head:
        raise predicts_nothing(type(model).__name__, source)
    return model
