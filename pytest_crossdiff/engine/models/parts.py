"""What of a model has to be loaded to read its blocks: known from its config, without weights."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import torch

from pytest_crossdiff.engine.models.loading.load import silence_transformers
from pytest_crossdiff.engine.models.loading.partial import (
    Part,
    all_but,
    load_part,
    shares_weights,
)
from pytest_crossdiff.engine.models.reading.blocks import (
    blocks_at,
    find_blocks,
    layer_index,
    resolve_blocks_name,
    supported_inputs,
)
from pytest_crossdiff.engine.models.reading.passes import intercepted, passes_in_order
from pytest_crossdiff.engine.models.reading.probing import LAYOUT_TOKENS, runs_of
from pytest_crossdiff.engine.models.reading.text_part import (
    encoder_of,
    heads_inside,
    language_model,
    output_table,
)
from pytest_crossdiff.engine.models.skeletons import build_empty
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn
    from transformers import PreTrainedModel

    from pytest_crossdiff.engine.models.reading.passes import Compute
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.settings.kinds import Layer

OVERHEAD = 1.15
"""Memory of a process that loads weights over that of the weights, at most
(docs/evidence/scale.md)."""


def part_up_to(
    reference: ModelReference, layers: Sequence[Layer], blocks: str = "", source: str = ""
) -> Part | None:
    """What it takes to read `reference` at all of `layers`; None where that is the whole model, or
    where its structure doesn't say.

    blocks: dotted name of the list of blocks, or "".  Code that a model ships is never run here.
    """
    if OUTPUT in layers or reference.kind not in ("local", "hub") or reference.archived:
        return None
    try:
        model, head = build_empty(reference, layers[0], source)
        any_config: Any = model.config
        if hasattr(any_config, "auto_map") or hasattr(any_config, "quantization_config"):
            return None
        with silence_transformers():
            name = _blocks_in_order(model, blocks, source)
    except Exception:  # noqa: BLE001  loading the whole model says what is wrong
        return None
    if name is None:
        return None
    count = len(blocks_at(model, name))
    last = max(layer_index(layer, count, source=source) for layer in layers)
    absent = [f"{name}.{i}" for i in range(last + 1, count)]
    table = output_table(model)
    absent += [at for at, module in model.named_modules() if module is table and absent]
    if absent and shares_weights(model, absent):
        absent = [at for at in absent if at.startswith(f"{name}.")]  # a tied table costs nothing
    if not absent or shares_weights(model, absent):
        return None
    return Part(type(model), head, name, count, tuple(absent))


def count_loaded(
    reference: ModelReference, layers: Sequence[Layer], blocks: str = "", source: str = ""
) -> int | None:
    """How many weights are in memory while `reference` is read at all of `layers`; None where that
    takes the whole model.
    """
    part = part_up_to(reference, layers, blocks, source)
    if part is None:
        return None
    model, _ = build_empty(reference, layers[0], source)
    absent = {
        id(weight) for name in part.absent for weight in model.get_submodule(name).parameters()
    }
    return sum(w.numel() for w in model.parameters() if id(w) not in absent)


def load_block(
    part: Part, reference: ModelReference, number: int, dtype: torch.dtype, source: str
) -> nn.Module:
    """One block of the model of `part`, and nothing else of it, on the CPU.  Raises `ModelError`
    where that can't be loaded by itself.
    """
    name = f"{part.blocks_name}.{number}"
    absent = all_but(build_empty(reference, 0, source)[0], name)
    loaded = load_part(reference, part._replace(absent=absent), dtype, source)
    if loaded is None:
        raise ModelError(f"{name} of {reference.reference} can't be loaded alone", source=source)
    return loaded.model.get_submodule(name)


def _blocks_in_order(model: PreTrainedModel, named: str, source: str) -> str | None:
    """The name of the list of blocks of which a forward pass runs one after the other, once; None
    where there is none in a model that reads text alone.
    """
    if encoder_of(model) or language_model(model) or heads_inside(model):
        return None
    name = find_blocks(model, resolve_blocks_name(model, named), source=source)
    listed = [child for child, _ in model.get_submodule(name).named_children()]
    blocks = blocks_at(model, name)
    in_order = [*map(id, _called(model, blocks))] == [*map(id, blocks)]
    return name if in_order and listed == [str(i) for i in range(len(blocks))] else None


def _called(model: PreTrainedModel, blocks: Sequence[nn.Module]) -> Sequence[nn.Module]:
    """The blocks in the order in which they run, empty where the model can't be run without its
    weights: some ask for the values of the mask, others for those of positions where there is none,
    and experts for those of their router, so in the end blocks only pass on what they get.
    """
    ids_1p = torch.zeros(1, LAYOUT_TOKENS, dtype=torch.long, device="meta")
    with_mask = supported_inputs(model, {"input_ids": ids_1p, "attention_mask": ids_1p})
    with contextlib.suppress(Exception):
        return passes_in_order(runs_of(model, ids_1p), blocks)
    with contextlib.suppress(Exception):
        model.set_attn_implementation("eager")
        return passes_in_order(lambda: model(**with_mask), blocks)
    called: list[nn.Module] = []

    def pass_on(number: int, compute: Compute) -> object:
        called.append(blocks[number])
        return compute.args[0] if compute.args else compute.keywords["hidden_states"]

    with contextlib.suppress(Exception), torch.inference_mode(), intercepted(blocks, pass_on):
        model(**with_mask)
        return called
    return ()
