"""Values that a reading is compared with, made without the code that reads.

Axes: b texts of a batch, p positions, d model width.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

if TYPE_CHECKING:
    from collections.abc import Sequence

WITHIN = 2e-4
"""Largest deviation, in standard deviations of the expected values."""


def deviation(found: Tensor, expected: Tensor) -> float:
    """The largest deviation in standard deviations of the expected values; infinite where shapes
    differ or a number is NaN.
    """
    if found.shape != expected.shape:
        return float("inf")
    a, b = found.float(), expected.float()
    if not torch.isfinite(a).all():
        return float("inf")
    return float((a - b).abs().max() / (b.std() + 1e-9))


def by_place(values: Tensor, positions: int) -> Tensor | None:
    """Hidden states of one text as (1, p, all other axes): parallel streams side by side."""
    if values.dim() == 3 and len(values) == 1 and values.shape[1] > positions:
        return values[:, :positions]  # padded to whole chunks
    places = [axis for axis, size in enumerate(values.shape) if size == positions]
    ones = [axis for axis, size in enumerate(values.shape) if size == 1]
    if len(places) != 1 or not ones:
        return None
    return values.movedim((ones[0], places[0]), (0, 1)).flatten(2)


def text_model(model: PreTrainedModel, ids_1p: Tensor) -> Any:  # noqa: ANN401
    """What of a model reads text: the encoder of an encoder-decoder; the model, or where it needs
    more than text the language model in it.
    """
    if getattr(model.config, "is_encoder_decoder", False):
        return model.get_encoder()
    try:
        run(model, ids_1p)
    except Exception:  # noqa: BLE001
        inner = getattr(model, "language_model", None) or getattr(model, "text_model", None)
        base = model.base_model
        inner = inner or getattr(base, "language_model", None) or getattr(base, "text_model", None)
        if isinstance(inner, PreTrainedModel):
            return inner
    return model


@torch.inference_mode()
def run(model: Any, ids_bp: Tensor, mask_bp: Tensor | None = None, **more: bool) -> Any:  # noqa: ANN401
    """The model's output on token ids."""
    mask_bp = torch.ones_like(ids_bp) if mask_bp is None else mask_bp
    names = inspect.signature(model.forward).parameters
    options = {"use_cache": False} if "use_cache" in names else {}
    if "attention_mask" in names or "kwargs" in names:
        options["attention_mask"] = mask_bp
    name = "input_ids" if "input_ids" in names or "inputs" not in names else "inputs"
    return model(**{name: ids_bp}, **options, **more)


def hidden_states(model: Any, ids_1p: Tensor) -> list[Tensor]:  # noqa: ANN401
    """The model's own account of its residual stream, the embeddings first; empty without one."""
    try:
        out = run(model, ids_1p, output_hidden_states=True)
    except Exception:  # noqa: BLE001
        return []
    for name in ("hidden_states", "encoder_hidden_states", "text_hidden_states"):
        if getattr(out, name, None) is not None:
            return [state for state in getattr(out, name) if isinstance(state, Tensor)]
    for name in ("language_model_outputs", "text_outputs", "text_model_output"):
        inner = getattr(out, name, None)
        if getattr(inner, "hidden_states", None) is not None:
            return list(inner.hidden_states)
    return []


def inputs_of_passes(
    reader: nn.Module, blocks: Sequence[nn.Module], ids_1p: Tensor
) -> list[Tensor]:
    """What each call of a block gets, in order."""
    seen: list[Tensor] = []

    def keep(_block: nn.Module, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        first = arguments[0] if arguments else named.get("hidden_states")
        first = first[0] if isinstance(first, (tuple, list)) else first
        if isinstance(first, Tensor):
            seen.append(first.clone())

    distinct = {id(block): block for block in blocks}.values()
    handles = [block.register_forward_pre_hook(keep, with_kwargs=True) for block in distinct]
    try:
        run(reader, ids_1p)
    except Exception:  # noqa: BLE001
        return []
    finally:
        for handle in handles:
            handle.remove()
    return seen


@torch.inference_mode()
def run_both(model: Any, target_1t: Tensor, source_1s: Tensor | None, **more: bool) -> Any:  # noqa: ANN401
    """An encoder-decoder's output on a source and a target."""
    names = inspect.signature(model.forward).parameters
    options = {"use_cache": False} if "use_cache" in names else {}
    return model(input_ids=source_1s, decoder_input_ids=target_1t, **options, **more)


def logits(model: Any, ids_1p: Tensor, source_1s: Tensor | None = None) -> Tensor:  # noqa: ANN401
    """The in-memory model's scores at each place; source_1s: what an encoder reads beside.  Of a
    model that needs a picture those of its language model.
    """
    try:
        out = run(model, ids_1p) if source_1s is None else run_both(model, ids_1p, source_1s)
    except (TypeError, ValueError):
        names = ("language_model", "text_decoder", "text_model", "thinker")
        out = run(next(getattr(model, name) for name in names if hasattr(model, name)), ids_1p)
    found = getattr(out, "logits", None)
    return out.prediction_logits if found is None else found
