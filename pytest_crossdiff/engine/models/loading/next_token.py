"""Whether a model predicts the next token, as far as its config tells without its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import transformers

from pytest_crossdiff.engine.models.loading.load import model_errors, silence_transformers
from pytest_crossdiff.settings.default_layers import CAUSAL_SUFFIXES

if TYPE_CHECKING:
    from pytest_crossdiff.engine.models.sources.references import ModelReference


def class_without_next_token(reference: ModelReference) -> str:
    """The class that the config names, where that predicts no next token; "" where it may.

    Of adapters and GGUF files only the loaded model tells.  Raises `ModelError` where the config
    can't be read.
    """
    if reference.base is not None or reference.kind == "gguf":
        return ""
    with silence_transformers(), model_errors(reference, reference.source):
        config, _ = transformers.PretrainedConfig.get_config_dict(
            reference.location, revision=reference.revision
        )
        named = [str(name) for name in config.get("architectures") or ()]
    if any(name.endswith(CAUSAL_SUFFIXES) for name in named):
        return ""
    return next(iter(named), "")
