"""The change of a PEFT adapter, merged into the weights of its base.

What is read is the model as it is served.  The adapter is put on its base by PEFT, the outputs are
noted on a few tokens, the change is merged, and the merged model has to give the same outputs.

Axes: n texts, p positions.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import torch
import transformers
from torch import Tensor, nn

from pytest_crossdiff.engine.models.reading.blocks import supported_inputs
from pytest_crossdiff.engine.models.sources.files import ADAPTER_CONFIG
from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from peft import PeftModel

    from pytest_crossdiff.engine.models.sources.references import ModelReference

TEXTS, POSITIONS = 3, 16
"""Tokens on which the merged model is compared with the model as served."""


def merge(
    reference: ModelReference, base: transformers.PreTrainedModel, source: str
) -> transformers.PreTrainedModel:
    """The base model with the adapter's change in its weights, on the device of the base.

    Raises `ModelError` when the adapter doesn't fit, or when the merged model isn't what is served.
    """
    tuner: Any = _attach(reference, base, source).base_model
    ids_np = _probe_tokens(tuner.model)
    served = _outputs(tuner.model, ids_np, reference, source)
    _separate_shared_weights(tuner.model)
    merged = tuner.merge_and_unload(safe_merge=True)
    assert isinstance(merged, transformers.PreTrainedModel)
    limit = math.sqrt(torch.finfo(merged.dtype).eps)
    _must_agree(served, _outputs(merged, ids_np, reference, source), limit, reference, source)
    return merged


def _attach(
    reference: ModelReference, base: transformers.PreTrainedModel, source: str
) -> PeftModel:
    """The model as PEFT serves it."""
    from peft import PeftModel

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        adapted: Any = PeftModel.from_pretrained(
            base, reference.location, torch_device=str(base.device)
        )
    missing = [str(w.message) for w in caught if "missing adapter keys" in str(w.message)]
    if missing:
        # They stay at zero: the base model would be taken for the fine-tune.
        raise ModelError(
            f"the adapter {reference.reference} doesn't fit its base model: {missing[0][:300]}",
            source=source,
            remedy=f"check base_model_name_or_path in its {ADAPTER_CONFIG}",
        )
    if not hasattr(adapted.base_model, "merge_and_unload"):
        kind = adapted.peft_config["default"].peft_type.value
        raise ModelError(
            f"the adapter {reference.reference} is of type {kind}, which is no change of weights",
            source=source,
            remedy="only adapters that can be merged are read, such as LoRA",
        )
    adapted.eval()
    assert isinstance(adapted, PeftModel)
    return adapted


def _separate_shared_weights(model: nn.Module) -> None:
    """Give each module a copy of its own of a weight that several share, where an adapter changes
    one of them: merging would change the others, too.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils.other import AuxiliaryTrainingWrapper

    adapted: set[str] = set()
    owners: dict[int, list[tuple[nn.Module, str, bool]]] = {}
    for name, module in model.named_modules():
        # Modules come before those inside of them.
        if name.rpartition(".")[0] in adapted or isinstance(
            module, (BaseTunerLayer, AuxiliaryTrainingWrapper)
        ):
            adapted.add(name)
        for key, weight in module.named_parameters(recurse=False):
            owners.setdefault(id(weight), []).append((module, key, name in adapted))
    for shared in owners.values():
        if any(changed for *_, changed in shared):
            for module, key, _ in shared[1:]:
                copy = getattr(module, key).detach().clone()
                setattr(module, key, nn.Parameter(copy, requires_grad=False))


def _probe_tokens(model: transformers.PreTrainedModel) -> Tensor:
    """Tokens from the whole vocabulary, those that an adapter retrains among them."""
    count, size = TEXTS * POSITIONS, int(model.config.get_text_config().vocab_size)
    ids = torch.arange(count) * max(1, size // count) % size
    retrained = {
        int(token)
        for module in model.modules()
        for tokens in dict(getattr(module, "token_indices", None) or {}).values()
        for token in tokens
    }
    first = torch.tensor(sorted(retrained)[:POSITIONS], dtype=torch.long)
    ids[: len(first)] = first
    return ids.view(TEXTS, POSITIONS).to(model.device)


@torch.inference_mode()
def _outputs(
    model: transformers.PreTrainedModel, ids_np: Tensor, reference: ModelReference, source: str
) -> list[Tensor]:
    """Every hidden state and prediction of each text, as float numbers."""
    run: Any = model
    found: list[Tensor] = []
    try:
        for ids_p in ids_np:
            tensors = {"input_ids": ids_p[None], "attention_mask": torch.ones_like(ids_p[None])}
            if model.config.is_encoder_decoder:
                tensors["decoder_input_ids"] = ids_p[None]
            inputs = supported_inputs(model, tensors)
            output = run(**inputs, output_hidden_states=True, return_dict=True)
            found += [tensor.float() for tensor in _tensors(output.to_tuple())]
    except Exception as error:
        raise ModelError(
            f"{reference.reference} can't be run on {TEXTS} short texts: "
            f"{type(error).__name__}: {str(error).partition(chr(10))[0]}",
            source=source,
            remedy="check the adapter: does its model run with PEFT on plain text?",
        ) from error
    return found


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor) and value.is_floating_point():
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)


def _must_agree(
    served: list[Tensor],
    merged: list[Tensor],
    limit: float,
    reference: ModelReference,
    source: str,
) -> None:
    """Merging rounds each weight once more; whatever goes further is another model."""
    worst = max(
        float((b - a).norm() / a.norm().clamp_min(torch.finfo(torch.float32).tiny))
        for a, b in zip(served, merged, strict=True)
    )
    if not worst <= limit:
        raise ModelError(
            f"the adapter {reference.reference} gives another model once it is merged: an output "
            f"differs by {worst:.2g} of its size from the same output of the model as PEFT serves "
            f"it, and rounding explains at most {limit:.2g}",
            source=source,
            remedy="merge it yourself, check that the merged model is the one you serve, and give "
            "its folder",
        )
