"""A model without its weights: what can be known of it before anything expensive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
import transformers

from pytest_crossdiff.engine.models.loading.extras import require_extra
from pytest_crossdiff.engine.models.loading.heads import choose_head
from pytest_crossdiff.engine.models.loading.load import (
    choose_class,
    load_config,
    model_errors,
    silence_transformers,
    without_head,
)
from pytest_crossdiff.engine.models.reading.blocks import (
    blocks_at,
    layer_index,
    resolve_blocks_name,
    structural_name,
)
from pytest_crossdiff.engine.models.reading.hook_point import find_hook_point
from pytest_crossdiff.engine.models.reading.predictions import WIDTH, no_predictions_error
from pytest_crossdiff.engine.models.reading.probing import LAYOUT_TOKENS
from pytest_crossdiff.engine.models.reading.source_and_target import (
    TEXT,
    InputForm,
    choose_form,
)
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.settings.default_layers import CAUSAL_SUFFIXES
from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.settings.default_layers import Head
    from pytest_crossdiff.settings.kinds import Layer


class ModelShape(NamedTuple):
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
    max_length: int | None
    form: InputForm = TEXT


def inspect_model(
    reference: ModelReference, *, layer: Layer, blocks: str = "", source: str = ""
) -> ModelShape:
    """Build the model of `reference`, without an adapter and without weights, and find its block.

    Code that a model ships is never run here.  Raises `ModelError`.
    """
    model, head = build_empty(reference, layer, source)
    name = resolve_blocks_name(model, blocks)
    text: Any = model.config.get_text_config()
    ids_1p = torch.zeros(1, LAYOUT_TOKENS, dtype=torch.long, device="meta")
    form = choose_form(model, head, layer, name, ids_1p[0], source)
    try:
        at = find_hook_point(model, ids_1p, layer, name, source)
        passes, index, width = at.passes, at.layer, at.width
    except Exception:  # noqa: BLE001  some models can't be run without their weights
        passes = blocks_at(model, structural_name(model, name, source=source))
        index, width = layer_index(layer, len(passes), source=source), int(text.hidden_size)
    if layer == OUTPUT:
        index, width = len(passes), WIDTH
    return ModelShape(
        architecture=type(model).__name__,
        layers=len(passes),
        layer=index,
        width=width,
        weights=sum(p.numel() for p in model.parameters()),
        read=sum(p.numel() for block in list(passes)[: index + 1] for p in block.parameters()),
        max_length=getattr(text, "max_position_embeddings", None),
        form=form,
    )


def build_empty(
    reference: ModelReference, layer: Layer, source: str
) -> tuple[transformers.PreTrainedModel, Head]:
    """The model of `reference` without weights, as it is loaded to be read at `layer`, and its
    head.  Raises `ModelError`.
    """
    root = reference.root
    if root.kind == "gguf":
        require_extra("gguf", root, source)
    with silence_transformers(), model_errors(reference, source):
        config = load_config(root, trust_remote_code=False, source=source)
        names = [CAUSAL_SUFFIXES[0]] if root.file else config.architectures or []
        known = None if root.file or hasattr(config, "auto_map") else config
        head, chosen = choose_class(
            reference, names, known, with_head=layer == OUTPUT, trust=False, source=source
        )
        model = chosen.build(config)
        if not isinstance(model, transformers.PreTrainedModel):
            raise ModelError(f"{type(model).__name__} is no model of transformers", source=source)
    if reference.base is not None:
        head, _ = choose_head(
            [type(model).__name__], with_head=layer == OUTPUT, config=model.config
        )
        model = model if head else without_head(model)
    if layer == OUTPUT and not head:
        raise no_predictions_error(model, source)
    return model, head
