"""Which tokens a model has, and how many of them it reads at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_LONGEST_SANE = 10_000_000  # tokenizers without a limit say 10^30


def embedding_count(model: PreTrainedModel) -> int | None:
    """How many tokens have an embedding; None for models that read something else."""
    try:
        return getattr(model.get_input_embeddings(), "num_embeddings", None)
    except NotImplementedError:
        return None


def longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """How many tokens, special ones included, positions and tokenizer allow; None: no limit.

    Raises `ModelError` for a limit that is no number.
    """
    limits = [
        getattr(model.config.get_text_config(), "max_position_embeddings", None),
        getattr(tokenizer, "model_max_length", None),
    ]
    for name, module in model.named_modules():
        # Families that count positions from after the padding index can use so many fewer.
        if (
            isinstance(module, nn.Embedding)
            and name.endswith("position_embeddings")
            and module.padding_idx is not None
        ):
            limits.append(module.num_embeddings - module.padding_idx - 1)
    for limit in limits:
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, (int, float))):
            raise ModelError(
                f"the longest input of {model.name_or_path or type(model).__name__} is "
                f"{str(limit)[:40]!r}, which is no number",
                remedy="correct model_max_length in tokenizer_config.json, or "
                "max_position_embeddings in config.json",
            )
    sane = [int(limit) for limit in limits if limit is not None and 0 < limit < _LONGEST_SANE]
    return min(sane, default=None)
