"""A GGUF file read as llama.cpp reads it: its config, its rotary positions, its tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import transformers

from pytest_crossdiff.engine.models.loading.gguf.header import GgufHeader, read_header
from pytest_crossdiff.engine.models.loading.gguf.reading import header_with_tokens, tokenizer_gaps
from pytest_crossdiff.engine.models.loading.gguf.rope import correct_config, correct_frequencies
from pytest_crossdiff.engine.models.loading.gguf.tokenizers import fill_gaps

if TYPE_CHECKING:
    from pytest_crossdiff.engine.models.sources.references import ModelReference


def gguf_config(reference: ModelReference, source: str) -> transformers.PretrainedConfig:
    """The config of the file.  Raises `ModelError` for positions that can't be read."""
    config: transformers.PretrainedConfig = transformers.AutoConfig.from_pretrained(
        reference.location, gguf_file=reference.file
    )
    header = _header(reference)
    if header is not None:
        correct_config(config, header, reference.reference, source)
    return config


def scale_frequencies(
    model: transformers.PreTrainedModel, reference: ModelReference, source: str
) -> None:
    """Give the model the rotary frequencies of the file.  Raises `ModelError`."""
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
