"""A model's blocks, found by structure and not by the family's name, and a hook on one of them.

Axes: b texts of a batch, p positions, d model width.
"""

from __future__ import annotations

import inspect
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from typing import NoReturn

    from transformers import PreTrainedModel

    from pytest_crossdiff.settings.kinds import Layer

_ROUNDING = 1e-9  # 0.29 * 100 is 28.999999999999996


def find_blocks(model: PreTrainedModel, named: str = "", *, source: str = "") -> str:
    """The dotted name of the list of blocks that the residual stream runs through.

    It is the one list of modules, inside no other list, that is as long as the config says the
    model is deep.  named: the user's choice, which is only checked to be a list.  Raises
    `ModelError` that shows all lists where there is not exactly one.
    """
    if named:
        return _checked(model, named, source)
    lists = _outermost_lists(model)
    depth = _depth(model)
    deep = [name for name, blocks in lists.items() if depth is None or len(blocks) == depth]
    if getattr(model.config, "is_encoder_decoder", False):
        problem = "has an encoder and a decoder"
    elif len(deep) == 1:
        return deep[0]
    elif depth is None:
        problem = "doesn't say how many blocks it has"
    else:
        problem = f"has {len(deep) or 'no'} lists of {depth} blocks, as deep as its config says"
    raise _unclear(model, problem, source)


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


class _Reached(BaseException):
    """Carries the output of the hooked block out of the forward pass.

    No error, and no `Exception`, lest the model's code catch it.
    """

    def __init__(self, output: object) -> None:
        self.output = output


def block_output(model: PreTrainedModel, block: nn.Module, inputs_bp: dict[str, Tensor]) -> Tensor:
    """The output of `block`, shape (b, p, d); the forward pass stops there.

    Raises `ModelError` when the block isn't run or gives something else.
    """

    def stop(*arguments: object) -> NoReturn:
        raise _Reached(arguments[-1])

    handle = block.register_forward_hook(stop)
    try:
        with torch.inference_mode():
            model(**supported_inputs(model, inputs_bp))
    except _Reached as reached:
        output = reached.output
    else:
        raise ModelError(f"{type(model).__name__} doesn't run the block {type(block).__name__}")
    finally:
        handle.remove()
    hidden_bpd = output[0] if isinstance(output, (tuple, list)) and output else output
    shape_bp = inputs_bp["input_ids"].shape
    if (
        not isinstance(hidden_bpd, Tensor)
        or hidden_bpd.dim() != 3
        or hidden_bpd.shape[:2] != shape_bp
    ):
        shape = tuple(getattr(hidden_bpd, "shape", ())) or type(hidden_bpd).__name__
        raise ModelError(
            f"{type(block).__name__} gives {shape}, not a vector at each of {tuple(shape_bp)} "
            "places (texts, positions)"
        )
    return hidden_bpd


def supported_inputs(model: PreTrainedModel, inputs: dict[str, Tensor]) -> dict[str, Any]:
    """Those inputs that the forward pass of this family takes, without a cache for generation."""
    parameters = inspect.signature(model.forward).parameters
    open_ended = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    taken = {name: value for name, value in inputs.items() if open_ended or name in parameters}
    return {**taken, "use_cache": False} if "use_cache" in parameters else taken


def _outermost_lists(model: nn.Module) -> dict[str, nn.ModuleList]:
    """Lists of composite modules that lie in no other list, by dotted name."""
    found: dict[str, nn.ModuleList] = {}
    for name, module in model.named_modules():
        nested = any(name.startswith(f"{outer}.") for outer in found)
        if isinstance(module, nn.ModuleList) and not nested and _composite(module):
            found[name] = module
    return found


def _composite(blocks: nn.ModuleList) -> bool:
    """Whether these can be blocks: lists of mere projections or norms run beside the stream."""
    return len(blocks) > 0 and all(next(block.children(), None) is not None for block in blocks)


def _depth(model: PreTrainedModel) -> int | None:
    """How many blocks the config says the text model has."""
    config: Any = model.config
    for part in (config.get_text_config(), config):
        depth = getattr(part, "num_hidden_layers", None)
        if isinstance(depth, int):
            return depth
    return None


def _checked(model: nn.Module, named: str, source: str) -> str:
    try:
        module = model.get_submodule(named)
    except AttributeError:
        raise _unclear(model, f"has no module {named!r}", source) from None
    if not isinstance(module, (nn.ModuleList, nn.Sequential)) or not len(module):
        raise _unclear(model, f"has a {type(module).__name__} at {named!r}, no list", source)
    return named


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
