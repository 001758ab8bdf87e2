"""Weights that a file lacks: which of them are random numbers, and which are what they always are.

Tables of sine positions, for example, are computed when a model is built and not stored.  And
weights that a file has and the config doesn't count: blocks that a model would lack.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from torch import Tensor
    from transformers import PretrainedConfig, PreTrainedModel

    from pytest_crossdiff.engine.models.sources.references import ModelReference

MAX_BLOCKS = 2_000
"""Of a model; building one takes milliseconds."""
_NUMBER = re.compile(r"\.(\d+)\.")
_FLAG = "_is_hf_initialized"
"""By which transformers knows what was loaded, and makes it up no more."""


def made_up_at_random(model: PreTrainedModel, missing: Sequence[str]) -> list[str]:
    """Those of the `missing` weights that come out otherwise when they are made up again.

    Each is overwritten with NaN and made up twice, from different seeds; a weight that is the same
    both times, and as it is in `model`, is a constant.  One number all over, as of a new norm or
    bias, is no constant but a start of training.  The model stays as it is.
    """
    return [key for key in missing if not _is_constant(model, key)]


def _is_constant(model: PreTrainedModel, key: str) -> bool:
    name, _, attribute = key.rpartition(".")
    owner: Any = model.get_submodule(name)
    weight: Any = getattr(owner, attribute, None)
    if not isinstance(weight, torch.Tensor):
        return False
    held = [*owner.parameters(recurse=False), *owner.buffers(recurse=False)]
    kept = [(tensor, tensor.detach().clone()) for tensor in held]
    flags = [(at, vars(at).get(_FLAG, False)) for at in (owner, weight)]
    first = weight.detach().clone()
    try:
        made = [_made_up(model, owner, weight, flags, seed) for seed in (1, 2)]
    finally:
        with torch.no_grad():
            for tensor, values in kept:
                tensor.copy_(values)
        for at, flag in flags:
            setattr(at, _FLAG, flag)
    uniform = bool((first == first.flatten()[:1]).all())
    return not uniform and all(torch.equal(again, first) for again in made)


def _made_up(
    model: PreTrainedModel,
    owner: torch.nn.Module,
    weight: Tensor,
    flags: Sequence[tuple[Any, Any]],
    seed: int,
) -> Tensor:
    for at, _ in flags:
        setattr(at, _FLAG, False)
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        weight.fill_(torch.nan)
        torch.manual_seed(seed)
        model._init_weights(owner)  # type: ignore[no-untyped-call]
    return weight.detach().clone()


def must_be_whole(
    model: PreTrainedModel,
    info: dict[str, Any],
    reference: ModelReference,
    source: str,
    absent: Mapping[str, nn.Module] | None = None,
) -> None:
    """Refuse a model of which a part that activations run through was made up at random, or left
    in the files.

    absent: modules that stand elsewhere while the model is loaded.
    """
    lost = lost_in_backbone(model, info)
    if lost:
        raise ModelError(
            f"{reference.reference} lacks {len(lost)} weights of {type(model).__name__}, which "
            f"would be random numbers: {', '.join(lost[:4])}" + (", ..." if len(lost) > 4 else ""),
            source=source,
            remedy="check that its config.json belongs to its weights",
        )
    other = sorted((str(key), *shapes) for key, *shapes in info["mismatched_keys"])
    if other:
        name, stored, wanted = other[0]
        raise ModelError(
            f"{reference.reference}: {len(other)} weights have another shape than its config.json "
            f"says; {name} is {tuple(stored)}, not {tuple(wanted)}",
            source=source,
            remedy="check that its config.json belongs to its weights",
        )

    for name, (counted, left) in uncounted_blocks(model, info["unexpected_keys"], absent).items():
        raise ModelError(
            f"{reference.reference} has weights of {counted + left} blocks {name}, and its "
            f"config.json counts {counted}: {left} would be left out",
            source=source,
            remedy="correct the number of blocks in config.json (num_hidden_layers or the like), "
            "or remove the weights of the other blocks from the files",
        )


def must_count_few_blocks(config: PretrainedConfig, reference: ModelReference, source: str) -> None:
    """Refuse a config that counts more blocks than any model has: building them takes hours."""
    count = getattr(config.get_text_config(), "num_hidden_layers", None)
    if isinstance(count, int) and count > MAX_BLOCKS:
        raise ModelError(
            f"the config.json of {reference.reference} counts {count:,} blocks; no model that is "
            f"known has more than {MAX_BLOCKS:,}",
            source=source,
            remedy="correct num_hidden_layers in it",
        )


def uncounted_blocks(
    model: PreTrainedModel,
    unexpected: Collection[str],
    absent: Mapping[str, nn.Module] | None = None,
) -> dict[str, tuple[int, int]]:
    """Of each list of blocks, by its name, how many the model has, and of how many more the files
    have the weights, which nobody takes; of lists without more nothing.

    absent: modules that stand elsewhere while the model is loaded.  A block counts that has weights
    of the same modules as one of the list.  Others are no part of the model that is read: those
    that predict further tokens (DeepSeek's, GLM's) stand behind the blocks and have modules of
    their own besides.
    """
    base = f"{model.base_model_prefix}."
    lists = {n: m for n, m in model.named_modules() if isinstance(m, nn.ModuleList) and len(m)}
    by_key = lists | {n.removeprefix(base): m for n, m in lists.items()}
    left: defaultdict[int, defaultdict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for key in unexpected:
        for number in _NUMBER.finditer(key):
            blocks = by_key.get(key[: number.start()].removeprefix(base)) or by_key.get(
                key[: number.start()]
            )
            if blocks is not None:
                module = key[number.end() :].rpartition(".")[0]
                left[id(blocks)][int(number[1])].add(module)
    found = {}
    for name, blocks in lists.items():
        others = left[id(blocks)]
        numbered = ((absent or {}).get(f"{name}.{i}", block) for i, block in enumerate(blocks))
        own = [{weight.rpartition(".")[0] for weight in block.state_dict()} for block in numbered]
        untaken = set().union(*(others[i] for i in list(others) if i < len(blocks)))
        count = sum(
            any(of and of <= modules and modules - of <= untaken for of in own)
            for i, modules in others.items()
            if i >= len(blocks)
        )
        if count:
            found[name] = len(blocks), count
    return found


def lost_in_backbone(model: PreTrainedModel, info: dict[str, Any]) -> list[str]:
    """The missing weights that activations run through, by name."""
    return sorted(key for key in info["missing_keys"] if _in_backbone(model, key))


def _in_backbone(model: PreTrainedModel, key: str) -> bool:
    """Whether a weight is neither in a head nor in a pooler on top of the blocks."""
    if "pooler" in key.split("."):
        return False
    return model.base_model is model or key.startswith(f"{model.base_model_prefix}.")
