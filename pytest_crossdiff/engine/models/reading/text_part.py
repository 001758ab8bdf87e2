"""The part of a model that reads text: of a model that also takes pictures or sound its language
model; of an encoder and a decoder the encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import transformers
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping


def encoder_of(model: transformers.PreTrainedModel) -> transformers.PreTrainedModel | None:
    """The encoder of an encoder-decoder model, None of any other model."""
    if not getattr(model.config, "is_encoder_decoder", False):
        return None
    encoder = model.get_encoder()
    if encoder is model or not isinstance(encoder, transformers.PreTrainedModel):
        return None
    return encoder


def language_model(model: transformers.PreTrainedModel) -> transformers.PreTrainedModel | None:
    """The outermost module below `model` that is configured by its text config, if that is another
    than its own.
    """
    text = _text_config(model)
    if text is model.config:
        return None
    return next(
        (
            module
            for module in model.modules()
            if isinstance(module, transformers.PreTrainedModel)
            and module is not model
            and type(module.config) is type(text)
        ),
        None,
    )


def heads_inside(model: transformers.PreTrainedModel) -> list[transformers.PreTrainedModel]:
    """The modules below `model` that predict tokens by themselves."""
    return [
        module
        for module in model.modules()
        if isinstance(module, transformers.PreTrainedModel)
        and module is not model
        and output_table(module) is not None
    ]


def output_table(model: transformers.PreTrainedModel) -> nn.Module | None:
    """What makes logits of hidden states."""
    any_model: Any = model
    found: nn.Module | None = any_model.get_output_embeddings()
    return found


def text_lists(
    model: transformers.PreTrainedModel,
) -> tuple[Mapping[str, nn.ModuleList], int | None]:
    """The lists of blocks in the text part, inside no other list, by dotted name; and how many
    blocks the config says it has.
    """
    part: transformers.PreTrainedModel = encoder_of(model) or model
    if part is model and _looks_divided(model):
        part = _inner_encoder(model) or model
    lists = outermost_lists(part)
    text = _text_config(part)
    names = {id(module): name for name, module in model.named_modules()}
    owners = {name: _owner(part, name) for name in lists}
    own = [name for name, owner in owners.items() if type(owner.config) is type(text)]
    chosen = own or list(lists)
    prefix = names[id(part)]
    return (
        {".".join(filter(None, (prefix, name))): lists[name] for name in chosen},
        _depth(part, text, lists[chosen[0]] if part is not model and len(chosen) == 1 else None),
    )


def _looks_divided(model: transformers.PreTrainedModel) -> bool:
    """Whether a model that calls itself no encoder-decoder has both, as the encoders of T5 do."""
    inner = _inner_encoder(model)
    decoder: Any = getattr(model.base_model, "decoder", None)
    return inner is not None and isinstance(decoder, transformers.PreTrainedModel)


def _inner_encoder(model: transformers.PreTrainedModel) -> transformers.PreTrainedModel | None:
    encoder = getattr(model.base_model, "encoder", None)
    return encoder if isinstance(encoder, transformers.PreTrainedModel) else None


def _text_config(model: transformers.PreTrainedModel) -> transformers.PretrainedConfig:
    try:
        return model.config.get_text_config()
    except ValueError:  # there are several
        return model.config


def _owner(model: transformers.PreTrainedModel, name: str) -> transformers.PreTrainedModel:
    """The innermost pre-trained model around the module called `name`."""
    found, at = model, name
    while at:
        at = at.rpartition(".")[0]
        module = model.get_submodule(at)
        if isinstance(module, transformers.PreTrainedModel):
            return module
    return found


def outermost_lists(model: nn.Module) -> dict[str, nn.ModuleList]:
    """Lists of composite modules that lie in no other list, by dotted name."""
    found: dict[str, nn.ModuleList] = {}
    for name, module in model.named_modules():
        nested = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(module, nn.ModuleList) and not nested and _composite(module):
            found[name] = module
    return found


def _composite(blocks: nn.ModuleList) -> bool:
    """Whether these can be blocks: lists of mere projections or norms run beside the stream."""
    return len(blocks) > 0 and all(next(block.children(), None) is not None for block in blocks)


def _depth(
    part: transformers.PreTrainedModel,
    text: transformers.PretrainedConfig,
    only: nn.ModuleList | None,
) -> int | None:
    """How many blocks the text part has: as long as its `only` list, or as the config says."""
    if only is not None:
        return len(only)
    for config in (text, part.config):
        depth = getattr(config, "num_hidden_layers", None)
        if isinstance(depth, int):
            return depth
    return None
