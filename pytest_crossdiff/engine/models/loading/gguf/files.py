"""A GGUF file read as llama.cpp reads it: its config, its rotary positions, its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import transformers

from pytest_crossdiff.engine.models.loading.gguf.copies import (
    keep_config,
    keep_weights,
    kept_config,
    kept_weights,
)
from pytest_crossdiff.engine.models.loading.gguf.header import GgufHeader, read_header
from pytest_crossdiff.engine.models.loading.gguf.reading import header_with_tokens, tokenizer_gaps
from pytest_crossdiff.engine.models.loading.gguf.rope import correct_config, correct_frequencies
from pytest_crossdiff.engine.models.loading.gguf.tokenizers import fill_gaps

if TYPE_CHECKING:
    import torch

    from pytest_crossdiff.engine.models.sources.references import ModelReference


def gguf_config(reference: ModelReference, source: str) -> transformers.PretrainedConfig:
    """The config of the file.  Raises `ModelError` for positions that can't be read."""
    kept = kept_config(reference)
    if kept is not None:
        again: transformers.PretrainedConfig = transformers.AutoConfig.from_pretrained(kept)
        return again
    config: transformers.PretrainedConfig = transformers.AutoConfig.from_pretrained(
        reference.location, gguf_file=reference.file
    )
    header = _header(reference)
    if header is not None:
        correct_config(config, header, reference.reference, source)
    keep_config(reference, config)
    return config


def where_weights_lie(
    reference: ModelReference, dtype: torch.dtype | None
) -> tuple[str, dict[str, Any]]:
    """Where the weights are loaded from, the cache or the file, and with which options.

    dtype: None where they are not kept in the cache.
    """
    kept = None if dtype is None else kept_weights(reference, dtype)
    if kept is not None:
        return str(kept), {}
    config = transformers.GgufConfig(dequantize=True)
    return reference.location, {"gguf_file": reference.file, "quantization_config": config}


def complete_model(
    model: transformers.PreTrainedModel,
    reference: ModelReference,
    source: str,
    dtype: torch.dtype | None,
) -> None:
    """Keep the weights unless they are kept, and give the model the rotary frequencies of the file.

    dtype: as for `where_weights_lie`.  Raises `ModelError`.
    """
    if dtype is not None:
        keep_weights(reference, model, dtype)
    model.name_or_path = model.config.name_or_path = reference.location
    header = _header(reference)
    if header is not None:
        correct_frequencies(model, header, reference.reference, source)


def complete_tokenizer(
    tokenizer: transformers.PreTrainedTokenizerBase, reference: ModelReference
) -> None:
    """Add what the file says of its tokenizer, unless a tokenizer.json lies beside it."""
    if (Path(reference.location) / "tokenizer.json").is_file():
        return
    header = header_with_tokens(_path(reference))
    if header is not None:
        fill_gaps(tokenizer, tokenizer_gaps(header))


def _header(reference: ModelReference) -> GgufHeader | None:
    return read_header(_path(reference))


def _path(reference: ModelReference) -> Path:
    return Path(reference.location) / str(reference.file)
