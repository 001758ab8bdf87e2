"""An encoder-decoder whose decoder is read: both of its inputs in one row of token ids.

A row holds what the decoder reads and, behind it, what the encoder reads, each of the latter's ids
as its complement ~id, which is negative.  So a batch stays one tensor whatever reads it, and the
place of a vector is the place of the decoder's token.  What the model gives has a row's length,
too: behind the decoder's places stand zeros.

Axes: b texts of a batch, p places of a row, t places of the decoder, s places of the encoder.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING

from pytest_crossdiff.engine.models.reading.blocks import blocks_at, find_blocks
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers import PreTrainedModel

    from pytest_crossdiff.settings.default_layers import Head
    from pytest_crossdiff.settings.kinds import Layer

_DECODER_GIVEN = ("decoder_input_ids", "decoder_inputs_embeds", "encoder_outputs", "labels")


class InputForm(NamedTuple):
    """What of a document a model reads, and as what.

    reads: "text": all of it; "source": what is in front of the last answer, of a text without
    answers all of it; "source and target": both in a row, see the module.  start: the token that
    the decoder reads first; None where that is the target's last token.
    """

    reads: Literal["text", "source", "source and target"] = "text"
    start: int | None = None


TEXT = InputForm()


class Parts(NamedTuple):
    """A batch of rows, divided: ids and masks of what the decoder and what the encoder reads, each
    padded on the right with 0.
    """

    target_bt: Tensor
    target_mask_bt: Tensor
    source_bs: Tensor
    source_mask_bs: Tensor


def row_of(target_p: Tensor, source_p: Tensor) -> Tensor:
    """A row of both; the order of axes before the last is kept."""
    return torch.cat([target_p, ~source_p], -1)


def lengths(ids_p: Tensor) -> tuple[int, int]:
    """How many tokens of a row without padding the decoder reads, and how many the encoder."""
    sources = int((ids_p < 0).sum()) if not ids_p.is_meta else 0
    return ids_p.shape[-1] - sources, sources


def shortened(ids_1p: Tensor, limit: int) -> Tensor:
    """A row with at most so many tokens of either kind."""
    row_p = ids_1p[0]
    return torch.cat([row_p[row_p >= 0][:limit], row_p[row_p < 0][:limit]])[None]


def as_long_as(longer_1p: Tensor, shorter_1p: Tensor) -> Tensor:
    """A row of the first one's tokens with as many of either kind as the second one has."""
    targets, sources = lengths(shorter_1p)
    if not sources:
        return longer_1p[:, :targets]
    row_p = longer_1p[0]
    parts = [(row_p[row_p >= 0], targets), (row_p[row_p < 0], sources)]
    cut = [part.repeat(-(-length // max(1, len(part))))[:length] for part, length in parts]
    return torch.cat(cut)[None]


def divide(ids_bp: Tensor, mask_bp: Tensor, default_source_s: Tensor) -> Parts:
    """Rows into what the decoder and what the encoder reads: `default_source_s` where a batch has
    no source.
    """
    is_source = (ids_bp < 0) & mask_bp.bool()
    if ids_bp.is_meta or not bool(is_source.any()):
        source_bs = default_source_s.to(ids_bp.device).expand(len(ids_bp), -1)
        return Parts(ids_bp, mask_bp, source_bs, torch.ones_like(source_bs))
    target_bt, target_mask_bt = _packed(ids_bp, (ids_bp >= 0) & mask_bp.bool())
    source_bs, source_mask_bs = _packed(~ids_bp, is_source)
    return Parts(target_bt, target_mask_bt, source_bs, source_mask_bs)


def read_rows(model: PreTrainedModel, default_source_s: Tensor) -> None:
    """Let `model`, called with `input_ids` and an `attention_mask` alone, take them for rows.

    Calls that say what the decoder reads stay as they are.
    """
    run: Callable[..., Any] = model.forward
    takes_mask = "decoder_attention_mask" in inspect.signature(run).parameters

    @functools.wraps(run)
    def forward(*given: object, **named: Any) -> Any:  # noqa: ANN401
        ids_bp = named.get("input_ids")
        if given or ids_bp is None or any(named.get(name) is not None for name in _DECODER_GIVEN):
            return run(*given, **named)
        mask_bp = named.pop("attention_mask", None)
        parts = divide(
            ids_bp, torch.ones_like(ids_bp) if mask_bp is None else mask_bp, default_source_s
        )
        named |= {"input_ids": parts.source_bs, "attention_mask": parts.source_mask_bs}
        named |= {"decoder_input_ids": parts.target_bt}
        if takes_mask:
            named |= {"decoder_attention_mask": parts.target_mask_bt}
        return _with_row_length(run(**named), ids_bp.shape[1])

    vars(model)["forward"] = forward


def choose_form(
    model: PreTrainedModel,
    head: Head,
    layer: Layer,
    named: str,
    default_source_s: Tensor,
    source: str,
) -> InputForm:
    """What `model` reads when it is read at `layer` of the blocks called `named`: the encoder of an
    encoder-decoder unless its output or blocks of its decoder are asked for.  Then it takes rows
    from here on.  One that tags a text makes both of its inputs by itself.  Raises `ModelError`.
    """
    encoder = _encoder(model)
    if encoder is None or head == "tags":
        return TEXT
    if layer != OUTPUT:
        inside = {id(module) for module in encoder.modules()}
        blocks = blocks_at(model, find_blocks(model, named, source=source)) if named else []
        if all(id(block) in inside for block in blocks):
            return InputForm("source")
    read_rows(model, default_source_s)
    return InputForm("source and target", decoder_start(model, source))


def decoder_start(model: PreTrainedModel, source: str) -> int | None:
    """The token in front of a target, by the model's own rule for labels where it has one, else by
    its config; None where the rule puts the last label first.  Raises `ModelError`.
    """
    config: Any = model.config
    shift: Any = getattr(_with_head(model), "prepare_decoder_input_ids_from_labels", None)
    generation: Any = getattr(model, "generation_config", None)
    if shift is not None and getattr(config, "pad_token_id", None) is not None:
        try:
            first, other = (int(shift(torch.tensor([[5, 6, last]]))[0, 0]) for last in (7, 8))
        except (ValueError, AttributeError, TypeError, AssertionError):
            pass
        else:
            return first if first == other else None
    for name in ("decoder_start_token_id", "bos_token_id"):
        for of in (config, generation):
            found = getattr(of, name, None)
            if isinstance(found, int):
                return found
    raise ModelError(
        f"the config of {type(model).__name__} doesn't say with which token its decoder begins",
        source=source,
        remedy="set decoder_start_token_id in its config.json",
    )


def _encoder(model: PreTrainedModel) -> nn.Module | None:
    """The encoder of a model that also has a decoder, None of any other."""
    divided = getattr(model.config, "is_encoder_decoder", False)
    if not divided or "decoder_input_ids" not in inspect.signature(model.forward).parameters:
        return None
    encoder: nn.Module = model.get_encoder()
    return None if encoder is model else encoder


def _with_head(model: PreTrainedModel) -> PreTrainedModel:
    """The model that writes with this one, without weights, where this one lacks the head."""
    kind: Any = MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING.get(type(model.config), None)
    if kind is None or isinstance(model, kind):
        return model
    with torch.device("meta"):
        made: PreTrainedModel = kind(model.config)
    return made


def _packed(ids_bp: Tensor, chosen_bp: Tensor) -> tuple[Tensor, Tensor]:
    """The chosen tokens of each row, moved to its beginning, and their mask."""
    counts_b = chosen_bp.sum(1)
    order_bp = (~chosen_bp).int().argsort(dim=1, stable=True)[:, : int(counts_b.max())]
    mask_bt = torch.arange(order_bp.shape[1], device=ids_bp.device) < counts_b[:, None]
    return ids_bp.gather(1, order_bp) * mask_bt, mask_bt.long()


def _with_row_length(output: Any, places: int) -> Any:  # noqa: ANN401
    """The model's output with logits, or last hidden states, at each place of a row."""
    for name in ("logits", "last_hidden_state"):
        found = output.get(name) if hasattr(output, "get") else None
        if isinstance(found, Tensor) and found.dim() == 3 and found.shape[1] < places:
            output[name] = nn.functional.pad(found, (0, 0, 0, places - found.shape[1]))
    return output
