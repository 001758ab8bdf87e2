"""Models that fixtures hold for ordinary tests: a measurement reads these instead of loading again,
as long as they are what they were when they were loaded.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, NamedTuple

import torch

from pytest_crossdiff.engine.models.devices import choose_device, choose_dtype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from pytest_crossdiff.engine.models.loaded_model import LoadedModel
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.settings import Settings

_BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


class _Held(NamedTuple):
    """loaded: what was held, while anybody has it.  state: see `_state`.  with_head: whether a head
    was asked for, which some kinds of models are loaded without.
    """

    loaded: weakref.ref[LoadedModel]
    state: tuple[object, ...]
    with_head: bool


_held: list[_Held] = []


def hold(loaded: LoadedModel, *, with_head: bool) -> None:
    """Let measurements read a whole model, as long as it lives and is not changed."""
    _held[:] = [known for known in _held if known.loaded() is not None]
    _held.append(_Held(weakref.ref(loaded), _state(loaded.model), with_head))


def find_held(
    settings: Settings, reference: ModelReference, *, with_head: bool
) -> LoadedModel | None:
    """The held model that loading would give again, to the bit; None where there is none."""
    device = choose_device(settings.device)
    dtype = choose_dtype(settings.dtype, device)
    for known in () if settings.device_map else _held:
        loaded = known.loaded()
        if (
            loaded is not None
            and (loaded.reference.digest, loaded.dtype, loaded.device)
            == (reference.digest, dtype, device)
            and (known.with_head == with_head or loaded.head == "causal")
            and _state(loaded.model) == known.state
        ):
            return loaded
    return None


def _state(model: nn.Module) -> tuple[object, ...]:
    """Everything about a model that a test may have changed and a forward pass depends on."""
    return (
        *(str(getattr(model, name, "")) for name in ("config", "generation_config")),
        *((name, *_module_state(module)) for name, module in model.named_modules()),
        *((name, *_tensor_state(tensor)) for name, tensor in _tensors(model)),
    )


def _module_state(module: nn.Module) -> tuple[object, ...]:
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    return type(module), module.training, "forward" in vars(module), *filter(_is_foreign, hooks)


def _is_foreign(hook: Callable[..., object]) -> bool:
    """Whether it isn't one of those with which transformers takes notes, and which stay."""
    return not str(getattr(hook, "__module__", "")).startswith("transformers.")


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _tensor_state(tensor: Tensor) -> tuple[object, ...]:
    """Its form, and the sum of its bits with a weight for each row."""
    if tensor.is_meta:
        return tensor.shape, tensor.dtype, tensor.device
    values = tensor.detach().contiguous()
    values_rc = values.reshape(len(values), -1) if values.dim() > 1 else values.reshape(-1, 1)
    size, start = tensor.element_size(), values.storage_offset()
    whole = (values_rc.shape[1] * size) % 8 == 0 and (start * size) % 8 == 0
    rows_r = values_rc.view(_BITS[8 if whole else size]).sum(-1, dtype=torch.int64)
    weights_r = torch.arange(1, len(rows_r) + 1, device=rows_r.device)
    return tensor.shape, tensor.dtype, tensor.device, int((rows_r * weights_r).sum())
