"""What predicts on top of a model's blocks, and the class of transformers that loads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_FOR_MULTIMODAL_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    MODEL_MAPPING,
)

from pytest_crossdiff.engine.models.reading.text_part import heads_inside, output_table
from pytest_crossdiff.settings.default_layers import CAUSAL_SUFFIXES, HEADS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_crossdiff.settings.default_layers import Head

_WITH_TOKEN_HEADS = (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    MODEL_FOR_MULTIMODAL_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
)


def choose_head(
    architectures: Sequence[str], *, with_head: bool, config: transformers.PretrainedConfig | None
) -> tuple[Head, Any]:
    """The head that a model of one of these classes comes with, and the class that loads it.

    A name that transformers' auto classes don't know is looked up in transformers itself: such a
    class has a token head when it has an output embedding, and is loaded without its head only when
    it contains the headless model.  config: None for files that carry no class's name.
    """
    named = named_class(architectures, config)
    for end, head in HEADS.items():
        wanted = head == "causal" or with_head
        if wanted and any(name.endswith(end) for name in architectures):
            auto = getattr(
                transformers, f"AutoModel{CAUSAL_SUFFIXES[0] if head == 'causal' else end}"
            )
            fits = named is None or config is None or type(config) in auto._model_mapping
            return head, auto if fits else named
    if named is None:
        return "", transformers.AutoModel
    with torch.device("meta"):
        empty: Any = named(config)  # type: ignore[arg-type]
    if with_head and (output_table(empty) is not None or heads_inside(empty)):
        return "causal", named
    return "", transformers.AutoModel if _contains_headless(empty) else named


def named_class(
    architectures: Sequence[str], config: transformers.PretrainedConfig | None
) -> type[transformers.PreTrainedModel] | None:
    """The class of transformers that the config names, if it is one for such a config: by its own
    account, or by that of an auto class where families share it.
    """
    for name in architectures if config is not None else ():
        found = getattr(transformers, name, None)
        if not hasattr(found, "forward"):
            continue
        own = getattr(found, "config_class", None) is type(config)
        if own or any(found in _kinds(mapping, type(config)) for mapping in _WITH_TOKEN_HEADS):
            return found
    return None


def _contains_headless(model: transformers.PreTrainedModel) -> bool:
    """Whether `AutoModel` would load a part of this model, and not the whole or nothing."""
    if type(model.config) not in MODEL_MAPPING:  # which may yet give a class: see findings/, Evolla
        return False
    kinds = _kinds(MODEL_MAPPING, type(model.config))
    return any(type(module) in kinds for module in model.modules())


def _kinds(mapping: Any, config: type) -> Sequence[type]:  # noqa: ANN401  untyped in transformers
    found = mapping.get(config, ())
    return found if isinstance(found, (tuple, list)) else (found,)
