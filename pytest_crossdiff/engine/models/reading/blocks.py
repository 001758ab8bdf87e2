"""A model's blocks, found by structure and not by the family's name, and a hook on one of them.

Axes: b texts of a batch, p positions, d model width.
"""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from pytest_crossdiff.engine.models.reading.passes import output_of_pass
from pytest_crossdiff.engine.models.reading.streams import possible_layouts, tensor_of
from pytest_crossdiff.engine.models.reading.text_part import outermost_lists, text_lists
from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedModel

    from pytest_crossdiff.engine.models.reading.streams import StreamLayout
    from pytest_crossdiff.settings.kinds import Layer

_ROUNDING = 1e-9  # 0.29 * 100 is 28.999999999999996
_AND = ", "
DECODER = "decoder"
"""How a user names the blocks of an encoder-decoder's decoder, whatever its family calls it."""


def find_blocks(model: PreTrainedModel, named: str = "", *, source: str = "") -> str:
    """The dotted name of the list of blocks that the residual stream runs through.

    It is the one list of modules in the text part, inside no other list, that is as long as the
    config says the model is deep; or the only list there is, or the lists of the only kind of
    block, whose names come joined by ", ": blocks that run several times are in shorter lists.
    named: the user's choice: lists, or modules that have one list of blocks each, such as
    `decoder`.  Raises `ModelError` that shows all lists where there is not exactly one.
    """
    if named:
        return _AND.join(_checked(model, name, source) for name in named.split(_AND))
    lists, depth = text_lists(model)
    candidates = candidate_lists(model)
    if len(candidates) == 1:
        return candidates[0]
    deep = [name for name, blocks in lists.items() if len(blocks) == depth]
    if depth is None:
        problem = "doesn't say how many blocks it has"
    else:
        problem = f"has {len(deep) or 'no'} lists of {depth} blocks, as deep as its config says"
    raise _unclear(model, problem, source)


def resolve_blocks_name(model: PreTrainedModel, blocks: str) -> str:
    """The dotted name of a list of blocks in `model`, given as it is with or without the head;
    `decoder` is that of any encoder-decoder.
    """
    names = {name: id(module) for name, module in model.named_modules()}
    if blocks == DECODER and model.config.is_encoder_decoder:
        any_model: Any = model
        decoder = id(any_model.get_decoder())
        return next((name for name, of in names.items() if of == decoder), blocks)
    found = []
    for name in filter(None, blocks.split(_AND)):
        longer = f"{model.base_model_prefix}.{name}"
        found.append(longer if name not in names and longer in names else name)
    return _AND.join(found)


def structural_name(model: PreTrainedModel, named: str, *, source: str = "") -> str:
    """As `find_blocks`, but where several lists can be the blocks, which only a run can tell, the
    first: they are equally long.
    """
    candidates = [] if named else candidate_lists(model)
    return candidates[0] if candidates else find_blocks(model, named, source=source)


def candidate_lists(model: PreTrainedModel) -> list[str]:
    """Names of the lists that can be the blocks, by structure alone; one where that is clear."""
    lists, depth = text_lists(model)
    deep = [name for name, blocks in lists.items() if len(blocks) == depth]
    if deep:
        return deep
    if len(lists) <= 1:
        return list(lists)
    kinds = {type(block) for blocks in lists.values() for block in blocks}
    lengths = {len(blocks) for blocks in lists.values()}
    if depth is not None and len(kinds) == len(lengths) == 1:
        return [_AND.join(lists)]
    return []


def blocks_at(model: nn.Module, name: str) -> list[nn.Module]:
    """The blocks in the list called `name`, or in the lists whose names are joined in it."""
    return [block for part in name.split(_AND) for block in model.get_submodule(part).children()]


def layer_index(layer: Layer, layers: int, *, source: str = "") -> int:
    """The 0-based index of a block out of `layers`.

    An int counts from the front, a negative one from the back.  A float is a fraction of the depth:
    the block at `int(fraction * layers)`, so that 0.0 is the first, 0.5 of six is index 3, and 1.0
    is the last.  The output counts as one behind the last.  Raises `ModelError` that names the
    valid range.
    """
    if isinstance(layer, str):
        return layers
    if isinstance(layer, float):
        if not math.isnan(layer) and 0.0 <= layer <= 1.0:
            return min(int(layer * layers + _ROUNDING), layers - 1)
    elif -layers <= layer < layers:
        return layer % layers
    raise ModelError(
        f"layer {layer} is out of range: the model has {layers} blocks",
        source=source,
        remedy=f"give an index from 0 to {layers - 1} or from -{layers} to -1, "
        "or a fraction of the depth from 0.0 to 1.0, or output",
    )


def block_output(
    model: nn.Module,
    block: nn.Module | Sequence[nn.Module],
    inputs_bp: Mapping[str, Tensor],
    number: int = 0,
    layout: StreamLayout | None = None,
) -> Tensor:
    """The residual stream after a block, shape (b, p, d); the forward pass stops there.

    block: or all passes (see `passes.intercepted`), of which `number` is the one that is read.
    layout: how the stream lies in the output, found by its shape when None.  Raises `ModelError`
    when the block isn't run or gives something else.
    """
    passes = [block] if isinstance(block, nn.Module) else block
    reached = output_of_pass(lambda: model(**supported_inputs(model, inputs_bp)), passes, number)
    kind = type(passes[number]).__name__
    if reached is None:
        raise ModelError(f"{type(model).__name__} doesn't run the block {kind}")
    (output,) = reached
    texts, positions = inputs_bp["input_ids"].shape
    if layout is None:
        possible = possible_layouts(output, texts, positions)
        if len(possible) != 1:
            raise no_stream_error(kind, output, texts, positions)
        layout = possible[0]
    return layout.read(output, positions)


def no_stream_error(kind: str, output: object, texts: int, positions: int) -> ModelError:
    """Of a block that gives something else than vectors at each place."""
    found = tensor_of(output, missing_ok=True)
    shape = tuple(getattr(found, "shape", ())) or type(output).__name__
    return ModelError(
        f"{kind} gives {shape}, not a vector at each of {(texts, positions)} "
        "places (texts, positions)"
    )


def supported_inputs(model: nn.Module, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
    """Those inputs that the forward pass of this family takes, without a cache for generation where
    none is among them.
    """
    parameters = inspect.signature(model.forward).parameters
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    taken = {name: value for name, value in inputs.items() if open_ended or name in parameters}
    cached = "past_key_values" in taken
    return {**taken, "use_cache": cached} if "use_cache" in parameters else taken


def _checked(model: nn.Module, named: str, source: str) -> str:
    try:
        module = model.get_submodule(named)
    except AttributeError:
        raise _unclear(model, f"has no module {named!r}", source) from None
    if isinstance(module, (nn.ModuleList, nn.Sequential)) and len(module):
        return named
    inside = outermost_lists(module)
    if len(inside) != 1:
        raise _unclear(model, f"has a {type(module).__name__} at {named!r}, no list", source)
    return f"{named}.{next(iter(inside))}"


def _unclear(model: nn.Module, problem: str, source: str) -> ModelError:
    lists = [
        f"{name} ({len(module)} x {', '.join(sorted({type(item).__name__ for item in module}))})"
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module)
    ]
    shown = lists[:20] + ["..."] * (len(lists) > 20)
    example = lists[0].partition(" ")[0] if lists else "model.layers"
    return ModelError(
        f"the blocks of {type(model).__name__} can't be told: it {problem}; "
        + (
            f"its lists of modules are {'; '.join(shown)}" if lists else "it has no list of modules"
        ),
        source=source,
        remedy=f"name the list to read, e.g. crossdiff_baseline_blocks = {example} "
        "(or crossdiff_candidate_blocks)",
    )
