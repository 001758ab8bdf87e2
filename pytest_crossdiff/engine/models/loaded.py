"""A model in memory with the place where it is read: its residual stream, or what it predicts.

Axes: b texts of a batch, p positions, d model width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from pytest_crossdiff.engine.models.blocks import block_output, find_blocks, layer_index
from pytest_crossdiff.engine.models.devices import choose_device, choose_dtype, release
from pytest_crossdiff.engine.models.forward_pass import ForwardPassError, forward_errors
from pytest_crossdiff.engine.models.loading import (
    load_model_and_tokenizer,
    resolve_blocks_name,
    silence_transformers,
)
from pytest_crossdiff.engine.models.predictions import ModelReadout, Predictions
from pytest_crossdiff.engine.models.references import ModelReference, resolve
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_crossdiff.engine.models.loading import Head
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.settings.kinds import Layer
    from pytest_crossdiff.sides import Side

_LONGEST_SANE = 10_000_000  # tokenizers without a limit say 10^30


@dataclass
class LoadedModel:
    """A model on its device, its tokenizer, and where it is read.

    blocks_name: dotted name of the list of blocks.  layers: how many there are.  layer: 0-based
    index of the one whose output is read; `layers` where that is what the model predicts.  width:
    of what is read.  architecture: name of the model's class.  max_length: longest input, special
    tokens included, that its positions allow; None: any.  head: what predicts, see `loading.Head`.
    predictions: how predictions become vectors, where they are read.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    reference: ModelReference
    blocks_name: str
    layers: int
    layer: int
    width: int
    architecture: str
    dtype: torch.dtype
    device: torch.device
    max_length: int | None
    head: Head
    predictions: Predictions | None = None

    @property
    def blocks(self) -> nn.ModuleList | nn.Sequential:
        """The list of blocks."""
        return _list(self.model, self.blocks_name)

    def unload(self) -> None:
        """Free the memory of the weights, whoever else holds on to the model."""
        nn.Module.to(self.model, "meta")
        release(self.device)


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
) -> LoadedModel:
    """Load a model and find what to read; three tokens are run to see that it can be read.

    layer: see `layer_index`.  blocks: dotted name of the list of blocks, where it can't be found.
    source: the setting the reference came from, for messages.  with_head: see
    `load_model_and_tokenizer`. Raises `ModelError`.
    """
    if isinstance(reference, str):
        reference = resolve(reference, source=source)
    source = source or reference.source
    where = choose_device(device)
    number = choose_dtype(dtype, where)
    model, tokenizer, head = load_model_and_tokenizer(
        reference,
        number,
        trust_remote_code=trust_remote_code,
        source=source,
        with_head=with_head or layer == OUTPUT,
        device=where,
    )
    name = find_blocks(model, resolve_blocks_name(model, blocks), source=source)
    layers = len(_list(model, name))
    index = layer_index(layer, layers, source=source)
    nn.Module.to(model, where)
    loaded = LoadedModel(
        model=model,
        tokenizer=tokenizer,
        reference=reference,
        blocks_name=name,
        layers=layers,
        layer=index,
        width=0,
        architecture=type(model).__name__,
        dtype=number,
        device=where,
        max_length=_longest_input(model, tokenizer),
        head=head,
    )
    if layer == OUTPUT:
        loaded.predictions = Predictions.of(model, tokenizer, head, source, where)
    loaded.width = _measure_width(loaded, source)
    return loaded


def load_configured(
    settings: Settings, side: Side, reference: ModelReference | str, *, with_head: bool = False
) -> LoadedModel:
    """Load the model of `side` as the settings ask for it.  Raises `ModelError`."""
    return load(
        reference,
        layer=settings.layer_of(side),
        blocks=getattr(settings, f"{side}_blocks"),
        dtype=settings.dtype,
        device=settings.device,
        trust_remote_code=settings.trust_remote_code,
        source=settings.sources.get(side, f"crossdiff_{side}"),
        with_head=with_head,
    )


def vectors(loaded: LoadedModel, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
    """What `read` finds, without the surprises."""
    return read(loaded, input_ids, attention_mask).vectors_bpd


def read(
    loaded: LoadedModel,
    input_ids: Tensor,
    attention_mask: Tensor,
    counted_bp: Tensor | None = None,
) -> ModelReadout:
    """The residual stream after the loaded layer, or the predictions, in the model's number type;
    surprises only with predictions.

    Later blocks don't run.  input_ids, attention_mask: shape (b, p), on any device.  counted_bp:
    places that count for the words' total probability, by default all.  Raises `ModelError`.
    """
    size = _embeddings(loaded.model)
    if size is not None and input_ids.numel() and int(input_ids.max()) >= size:
        raise ModelError(
            f"{loaded.reference.reference} has {size} token embeddings, but its tokenizer gives "
            f"token {int(input_ids.max())}",
            source=loaded.reference.source,
            remedy="use the tokenizer that belongs to the model",
        )
    inputs_bp = {
        "input_ids": input_ids.to(loaded.device),
        "attention_mask": attention_mask.to(loaded.device),
    }
    reference = loaded.reference
    with (
        silence_transformers(),
        forward_errors(loaded.model, reference.reference, reference.source),
    ):
        if loaded.predictions is not None:
            return loaded.predictions.read(loaded.model, inputs_bp, counted_bp)
        found = block_output(loaded.model, loaded.blocks[loaded.layer], inputs_bp)
    return ModelReadout(found, torch.full(input_ids.shape, torch.nan))


def _list(model: nn.Module, name: str) -> nn.ModuleList | nn.Sequential:
    found = model.get_submodule(name)
    assert isinstance(found, (nn.ModuleList, nn.Sequential))
    return found


def _measure_width(loaded: LoadedModel, source: str) -> int:
    """The width of what is read, seen on a run over three tokens."""
    ids = torch.zeros(1, 3, dtype=torch.long)
    try:
        return vectors(loaded, ids, torch.ones_like(ids)).shape[-1]
    except ForwardPassError:
        raise
    except ModelError as error:
        if loaded.predictions is not None:
            raise
        raise ModelError(
            f"the block {loaded.blocks_name}.{loaded.layer} of {loaded.architecture} can't be "
            f"read: {error.what}",
            source=source,
            remedy="name another list of blocks: crossdiff_baseline_blocks or "
            "crossdiff_candidate_blocks",
        ) from error


def _embeddings(model: PreTrainedModel) -> int | None:
    """How many tokens have an embedding; None for models that read something else."""
    try:
        return getattr(model.get_input_embeddings(), "num_embeddings", None)
    except NotImplementedError:
        return None


def _longest_input(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int | None:
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
    sane = [int(limit) for limit in limits if limit is not None and 0 < limit < _LONGEST_SANE]
    return min(sane, default=None)
