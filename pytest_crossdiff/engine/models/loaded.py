"""A model in memory with the place where it is read: its residual stream, or what it predicts.

Axes: b texts of a batch, p positions, d model width.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from pytest_crossdiff.engine.models.devices import choose_device, choose_dtype
from pytest_crossdiff.engine.models.in_memory import find_held
from pytest_crossdiff.engine.models.loaded_model import LoadedModel as LoadedModel
from pytest_crossdiff.engine.models.loading.load import (
    load_model_and_tokenizer,
    load_tokenizer,
    silence_transformers,
)
from pytest_crossdiff.engine.models.loading.partial import load_part, put_back
from pytest_crossdiff.engine.models.placement import keep_with, offload_folder, parse
from pytest_crossdiff.engine.models.reading import probing
from pytest_crossdiff.engine.models.reading.batching import groups_of, read_groups
from pytest_crossdiff.engine.models.reading.blocks import (
    block_output,
    resolve_blocks_name,
)
from pytest_crossdiff.engine.models.reading.forward_pass import forward_errors
from pytest_crossdiff.engine.models.reading.hook_point import find_hook_point
from pytest_crossdiff.engine.models.reading.limits import embedding_count, longest_input
from pytest_crossdiff.engine.models.reading.predictions import (
    WIDTH,
    ModelReadout,
    Predictions,
    token_logits,
)
from pytest_crossdiff.engine.models.reading.source_and_target import (
    choose_form,
)
from pytest_crossdiff.engine.models.sources.references import ModelReference, resolve
from pytest_crossdiff.errors import ActivationError, ModelError
from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_crossdiff.engine.models.loading.partial import Part
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.settings.default_layers import Head
    from pytest_crossdiff.settings.kinds import Layer
    from pytest_crossdiff.sides import Side


def load(
    reference: ModelReference | str,
    *,
    layer: Layer = 0.5,
    blocks: str = "",
    dtype: str = "auto",
    device: str = "auto",
    trust_remote_code: bool = False,
    source: str = "",
    with_head: bool = False,
    part: Part | None = None,
    device_map: str = "",
) -> LoadedModel:
    """Load a model and find what to read; three tokens are run to see that it can be read.

    layer: see `layer_index`.  blocks: dotted name of the list of blocks, where it can't be found.
    source: the setting the reference came from, for messages.  with_head: see
    `load_model_and_tokenizer`.  part: all that is loaded, where that gives what is read.
    device_map: see `placement.parse`; an adapter is never dealt out.  Raises `ModelError`.
    """
    if isinstance(reference, str):
        reference = resolve(reference, source=source)
    source = source or reference.source
    where = choose_device(device)
    number = choose_dtype(dtype, where)
    if part is not None and not device_map:
        found = _load_part(reference, part, number, where, layer, blocks, source)
        if found is not None:
            return found
    placement = parse(device_map) if reference.base is None else None
    folder = None if placement is None else offload_folder()
    model, tokenizer, head = load_model_and_tokenizer(
        reference,
        number,
        trust_remote_code=trust_remote_code,
        source=source,
        with_head=with_head or layer == OUTPUT,
        device=where,
        placement=placement.options(folder) if placement and folder else None,
    )
    if folder is None:
        nn.Module.to(model, where)
    else:
        keep_with(model, folder)
    return _placed(
        _Weights(model, tokenizer, reference, head, number, where), layer, blocks, source
    )


def _load_part(
    reference: ModelReference,
    part: Part,
    number: torch.dtype,
    where: torch.device,
    layer: Layer,
    blocks: str,
    source: str,
) -> LoadedModel | None:
    """The part of the model; None where it doesn't run by itself."""
    loaded = load_part(reference, part, number, source)
    if loaded is None:
        return None
    model, tokenizer, head = loaded
    nn.Module.to(model, where)
    put_back(model)
    weights = _Weights(model, tokenizer, reference, head, number, where, part)
    try:
        return _placed(weights, layer, blocks, source)
    except (ModelError, RuntimeError):  # the whole model says what is wrong
        nn.Module.to(model, "meta")
        return None


def also_at(loaded: LoadedModel, layer: Layer, blocks: str = "", source: str = "") -> LoadedModel:
    """The same weights, which aren't loaded again, read at another layer.  Raises `ModelError`."""
    of = (loaded.model, loaded.tokenizer, loaded.reference, loaded.head, loaded.dtype)
    weights = _Weights(*of, loaded.device, loaded.part)
    return _placed(weights, layer, blocks, source or loaded.reference.source)


class _Weights(NamedTuple):
    """What is in memory, wherever it is read."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    reference: ModelReference
    head: Head
    dtype: torch.dtype
    device: torch.device
    part: Part | None = None


def _placed(weights: _Weights, layer: Layer, blocks: str, source: str) -> LoadedModel:
    """Find where a model is read at `layer`, and what it predicts."""
    model, tokenizer, reference, head = weights[:4]
    tokens = [ids.to(weights.device) for ids in _probe_tokens(model, tokenizer)]
    name = resolve_blocks_name(model, blocks)
    form = choose_form(model, head, layer, name, tokens[1][0], source)
    with forward_errors(model, reference.reference, source):
        at = find_hook_point(model, tokens[0], layer, name, source)
    loaded = LoadedModel(
        model=model,
        tokenizer=tokenizer,
        reference=reference,
        blocks_name=at.blocks_name,
        layers=at.layers,
        layer=at.layer,
        width=at.width,
        architecture=type(model).__name__,
        dtype=weights.dtype,
        device=weights.device,
        max_length=longest_input(model, tokenizer),
        head="" if form.reads == "source" else head,  # the head is the decoder's
        form=form,
        passes=at.passes,
        layout=at.layout,
        reader=at.reader,
        part=weights.part,
    )
    with silence_transformers(), forward_errors(model, reference.reference, source):
        _measure(loaded, tokens, source, output=layer == OUTPUT)
    return loaded


def _probe_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[Tensor]:
    return probing.probe_tokens(tokenizer, embedding_count(model), longest_input(model, tokenizer))


def _measure(loaded: LoadedModel, tokens: list[Tensor], source: str, *, output: bool) -> None:
    """Find out what its head predicts, and which texts may share a batch.  Raises `ModelError`."""
    rounding = probing.ROUNDING[loaded.dtype]
    if loaded.head in ("causal", "masked"):
        try:
            later = probing.sees_later_tokens(
                lambda *inputs: (
                    _logits(loaded, loaded.runner if output else loaded.model, *inputs)
                    if loaded.part is None
                    else read_batch(loaded, *inputs).vectors_bpd
                ),
                tokens[0],
                probing.LATER[loaded.dtype],
            )
            loaded.head = "masked" if later else "causal"
        except ModelError:
            if output:
                raise
            loaded.head = ""  # it needs more than text, which the blocks don't
    if output:
        loaded.predictions = Predictions.of(
            loaded.runner, loaded.tokenizer, loaded.head, source, loaded.device
        )
        loaded.width = WIDTH
    found = probing.batch_distances(
        lambda ids, mask: read_batch(loaded, ids, mask).vectors_bpd, *tokens
    )
    if not math.isfinite(found.repeated):
        raise ActivationError(
            f"what is read of {loaded.reference.reference} is NaN or infinite",
            source=source,
            remedy="check the weights; if they are sound, set crossdiff_dtype = float32",
        )
    if found.repeated > rounding:
        raise ModelError(
            f"{loaded.architecture} reads the same text otherwise each time: two readings of one "
            f"text differ by {found.repeated:.2g} of a vector's length",
            source=source,
            remedy="compare a model whose forward pass draws no random numbers",
        )
    loaded.batching = found.batching(rounding)


def _logits(loaded: LoadedModel, model: PreTrainedModel, ids_bp: Tensor, mask_bp: Tensor) -> Tensor:
    """Logits less their mean at each place, which says nothing about the prediction."""
    inputs = {"input_ids": ids_bp, "attention_mask": mask_bp}
    reference = loaded.reference
    with (
        torch.inference_mode(),
        forward_errors(loaded.model, reference.reference, reference.source),
    ):
        logits_bpv = token_logits(model, inputs).float()
        return logits_bpv - logits_bpv.mean(-1, keepdim=True)


def load_configured(
    settings: Settings,
    side: Side,
    reference: ModelReference,
    *,
    with_head: bool = False,
    part: Part | None = None,
    own: bool = False,
) -> LoadedModel:
    """The model of `side` as the settings ask for it: one that a fixture holds, or else loaded.

    part: see `load`.  own: with weights of its own in any case.  Raises `ModelError`.
    """
    layer, blocks = settings.layer_of(side), getattr(settings, f"{side}_blocks")
    source = settings.sources.get(side, f"crossdiff_{side}")
    with_head = with_head or layer == OUTPUT
    held = None if own else find_held(settings, reference, with_head=with_head)
    if held is not None:
        trusted = settings.trust_remote_code
        tokenizer = load_tokenizer(reference, trust_remote_code=trusted, source=source)
        of = _Weights(held.model, tokenizer, reference, held.head, held.dtype, held.device)
        return replace(_placed(of, layer, blocks, source), borrowed=True)
    return load(
        reference,
        layer=layer,
        blocks=blocks,
        dtype=settings.dtype,
        device=settings.device,
        trust_remote_code=settings.trust_remote_code,
        source=source,
        with_head=with_head,
        part=part,
        device_map=settings.device_map,
    )


def vectors(loaded: LoadedModel, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """What `read` finds, without the surprises."""
    return read(loaded, input_ids, attention_mask).vectors_bpd


def read(
    loaded: LoadedModel,
    input_ids: Tensor,
    attention_mask: Tensor,
    counted_bp: Tensor | None = None,
    cache: object = None,
) -> ModelReadout:
    """The residual stream after the loaded layer, or the predictions, in the model's number type;
    surprises only with predictions.

    Later blocks don't run.  input_ids, attention_mask: shape (b, p), on any device.  counted_bp:
    places that count for the words' total probability, by default all.  cache: of what precedes
    these tokens, which the mask has, too; it gets theirs.  Raises `ModelError`.
    """
    size = embedding_count(loaded.model)
    largest = int(torch.maximum(input_ids, ~input_ids).max()) if input_ids.numel() else 0
    if size is not None and largest >= size:
        raise ModelError(
            f"{loaded.reference.reference} has {size} token embeddings, but its tokenizer gives "
            f"token {largest}",
            source=loaded.reference.source,
            remedy="use the tokenizer that belongs to the model",
        )
    with silence_transformers():
        groups = [] if cache is not None else groups_of(loaded.batching, input_ids, attention_mask)
        if len(groups) <= 1:
            return read_batch(loaded, input_ids, attention_mask, counted_bp, cache)
        return read_groups(
            lambda *part: read_batch(loaded, *part), input_ids, attention_mask, counted_bp, groups
        )


def read_batch(
    loaded: LoadedModel,
    input_ids: Tensor,
    attention_mask: Tensor,
    counted_bp: Tensor | None = None,
    cache: object = None,
) -> ModelReadout:
    """As `read`, in one batch, whatever the model's batching."""
    inputs_bp: dict[str, Any] = {
        "input_ids": input_ids.to(loaded.device),
        "attention_mask": attention_mask.to(loaded.device),
    }
    if cache is not None:
        inputs_bp["past_key_values"] = cache
    reference = loaded.reference
    with (
        silence_transformers(),
        forward_errors(loaded.model, reference.reference, reference.source),
    ):
        if loaded.predictions is not None:
            found = loaded.predictions.read(loaded.runner, inputs_bp, counted_bp)
        else:
            vectors_bpd = block_output(
                loaded.runner, loaded.blocks, inputs_bp, loaded.layer, loaded.layout
            )
            found = ModelReadout(vectors_bpd, torch.full(input_ids.shape, torch.nan))
    if loaded.form.reads != "source and target":
        return found
    is_source_bp1 = inputs_bp["input_ids"][..., None] < 0
    return found._replace(vectors_bpd=found.vectors_bpd.masked_fill(is_source_bp1, 0.0))
