"""A forward pass that fails: an error with the family's own words and what to do about it."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING

import torch

from pytest_crossdiff.errors import CrossDiffError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from transformers import PreTrainedModel

_GIVEN = ("input_ids", "inputs_embeds", "attention_mask", "use_cache")


class ForwardPassError(ModelError):
    """The model can't be run on the texts."""


@contextlib.contextmanager
def forward_errors(model: PreTrainedModel, reference: str, source: str) -> Iterator[None]:
    """Turn whatever the model's code raises inside into a `ForwardPassError`.

    reference: the model as written.  Errors of this package stay as they are.
    """
    try:
        yield
    except CrossDiffError:
        raise
    except torch.OutOfMemoryError as error:
        raise ForwardPassError(
            f"{reference} has too little memory to read a batch of texts",
            source=source,
            remedy="set crossdiff_device = cpu, or crossdiff_dtype = bfloat16",
        ) from error
    except Exception as error:
        said = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}".rstrip(": ")
        raise ForwardPassError(
            f"{reference}: {type(model).__name__} can't be run on text alone; it says {said}",
            source=source,
            remedy=_remedy(model, str(error)),
        ) from error


def _remedy(model: PreTrainedModel, message: str) -> str:
    """A field of its config or an input, where the message names one that isn't set."""
    unset = [name for name, value in model.config.to_dict().items() if value is None]
    fields = [name for name in unset if name in message and "_" in name]
    if fields:
        return f"set {fields[0]} in its config.json"
    needed = [
        name
        for name in inspect.signature(model.forward).parameters
        if name not in _GIVEN and name in message
    ]
    if needed:
        return (
            f"compare another model: this family needs {' and '.join(needed)} besides the tokens, "
            "and a corpus has only text"
        )
    if model.config.is_encoder_decoder:
        return (
            "compare its encoder: leave crossdiff_baseline_blocks and crossdiff_candidate_blocks "
            "unset, and set crossdiff_layer = 0.5"
        )
    return (
        "check that model(input_ids=..., attention_mask=...) runs in a Python session; if it does "
        "for other texts, leave those out that it doesn't take"
    )
