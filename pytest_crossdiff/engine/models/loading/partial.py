"""A model of which only a part is loaded: the other modules' weights stay in the files.

The whole model is built, by the whole config, so that nothing in the part depends on what is left
out.  The modules that are left out take no part in loading and stay without weights.
"""

from __future__ import annotations

import contextlib
import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import nn

from pytest_crossdiff.engine.models.loading.adapters.classes import AdaptedClass
from pytest_crossdiff.engine.models.loading.load import (
    ModelAndTokenizer,
    from_pretrained,
    load_config,
    load_tokenizer,
    silence_transformers,
    where_it_lies,
)
from pytest_crossdiff.engine.models.loading.lost_weights import must_be_whole
from pytest_crossdiff.engine.models.not_loaded import run_without_weights

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from collections.abc import Set as AbstractSet

    import torch
    from transformers import PretrainedConfig, PreTrainedModel

    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.settings.default_layers import Head

_SYNCHRONOUS = "HF_DEACTIVATE_ASYNC_LOAD"
_ABSENT, _TIED = "_crossdiff_absent", "_crossdiff_tied"


class Part(NamedTuple):
    """What is loaded of a model.

    kind: its class.  head: as of a `LoadedModel`.  blocks_name: dotted name of the list of blocks,
    layers: how many there are.  absent: dotted names of the modules that are left out.
    """

    kind: type[PreTrainedModel]
    head: Head
    blocks_name: str
    layers: int
    absent: tuple[str, ...]


def load_part(
    reference: ModelReference, part: Part, dtype: torch.dtype, source: str
) -> ModelAndTokenizer | None:
    """The model, on the CPU, without the modules that are `absent` (see `put_back`); None where
    they can't be left out: where it takes the whole model to say what is wrong with its files.

    reference: of a model in transformers' own format, without an adapter.
    """
    config = load_config(reference, trust_remote_code=False, source=source)
    loader = AdaptedClass(_leaving_out(part, config))
    options = {"dtype": dtype, "config": config, **where_it_lies(reference)}
    converted = getattr(config, "dtype", None) != dtype
    one_by_one = _one_weight_at_a_time() if converted else contextlib.nullcontext()
    try:
        with silence_transformers(), one_by_one:
            model, info = from_pretrained(loader, reference.location, options)
            must_be_whole(model, info, reference, source, vars(model)[_ABSENT])
    except Exception:  # noqa: BLE001  loading the whole model says what is wrong
        return None
    if not _are_in_the_files(model, info["unexpected_keys"]):
        return None
    model.__class__ = part.kind
    model.train(mode=False)
    model.requires_grad_(requires_grad=False)
    tokenizer = load_tokenizer(reference, trust_remote_code=False, source=source)
    reference.must_be_unchanged(none_new=True)
    return ModelAndTokenizer(model, tokenizer, "" if info["missing_keys"] else part.head)


@contextlib.contextmanager
def _one_weight_at_a_time() -> Iterator[None]:
    """Inside, transformers converts weights one after the other.

    It does so in up to four threads, and a thread that has to wait keeps a weight twice, as it is
    in the file and as it is wanted; of little that is loaded four are much.
    """
    before = os.environ.get(_SYNCHRONOUS)
    os.environ[_SYNCHRONOUS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SYNCHRONOUS]
        else:
            os.environ[_SYNCHRONOUS] = before


def put_back(model: PreTrainedModel) -> None:
    """Put the modules that were left out where they belong, without their weights; from here on
    they raise a `NotLoadedError` when they are run.
    """
    for name, module in vars(model).pop(_ABSENT).items():
        _replace(model, name, module.train(mode=False).requires_grad_(requires_grad=False))
        vars(module)["forward"] = run_without_weights


def all_but(model: nn.Module, name: str) -> tuple[str, ...]:
    """The names of the modules beside the one called `name` and beside what contains it."""
    found: list[str] = []
    at: list[str] = []
    for part in name.split("."):
        around = model.get_submodule(".".join(at))
        found += [".".join((*at, other)) for other, _ in around.named_children() if other != part]
        at.append(part)
    return tuple(found)


def shares_weights(model: nn.Module, absent: Collection[str]) -> bool:
    """Whether a module called in `absent` has a weight that also lies in one that is not."""
    left = {id(p) for name in absent for p in model.get_submodule(name).parameters()}
    inside = tuple(f"{name}." for name in absent)
    named = model.named_parameters(remove_duplicate=False)
    return any(id(p) in left and not name.startswith(inside) for name, p in named)


def _leaving_out(part: Part, config: PretrainedConfig) -> type[PreTrainedModel]:
    """The class, as whose instance a model without its absent modules is loaded."""
    kind: Any = part.kind

    def build(model: Any, *given: object, **named: object) -> None:  # noqa: ANN401
        kind.__init__(model, *given, **named)
        tied = getattr(model, "all_tied_weights_keys", {})
        vars(model)[_TIED] = frozenset(tied)
        inside = tuple(f"{name}." for name in part.absent)
        model.all_tied_weights_keys = {
            one: other
            for one, other in tied.items()
            if not (one.startswith(inside) or other.startswith(inside))
        }
        vars(model)[_ABSENT] = {name: _replace(model, name, nn.Identity()) for name in part.absent}

    body = {"__init__": build, "__module__": kind.__module__, "config_class": type(config)}
    made: type[PreTrainedModel] = type(kind.__name__, (kind,), body)
    return made


def _replace(model: nn.Module, name: str, module: nn.Module) -> nn.Module:
    """Set the module called `name`; the one that was there."""
    where, _, last = name.rpartition(".")
    parent = model.get_submodule(where)
    before = parent.get_submodule(last)
    parent._modules[last] = module
    return before


def _are_in_the_files(model: PreTrainedModel, unexpected: AbstractSet[str]) -> bool:
    """Whether the files have every weight that is left out, by what nobody took of them: as far as
    transformers reports it, which keeps silent about some names.
    """
    prefix = f"{model.base_model_prefix}."
    silent = re.compile("|".join(model._keys_to_ignore_on_load_unexpected or ["(?!)"]))
    return all(
        not unexpected.isdisjoint((name, name.removeprefix(prefix), prefix + name))
        for name in _left_out(model)
        if name not in vars(model)[_TIED] and not silent.search(name)
    )


def _left_out(model: nn.Module) -> Iterator[str]:
    for name, module in vars(model)[_ABSENT].items():
        for weight, _ in module.named_parameters():
            yield f"{name}.{weight}"
