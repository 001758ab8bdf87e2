"""From the vectors that a model's head reads to its logits, without the rest of the model.

Axes: b texts of a batch, p positions, n positions of several texts, d model width, v outputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from pytest_crossdiff.engine.models.placement import weight_values
from pytest_crossdiff.engine.models.reading.blocks import supported_inputs
from pytest_crossdiff.errors import ActivationError, ModelError

if TYPE_CHECKING:
    from typing import NoReturn

    from transformers import PreTrainedModel

TOLERANCE = {torch.float32: 1e-3, torch.float16: 5e-2, torch.bfloat16: 2e-1}
"""Nats by which a rebuilt log-probability may be off, at most, before the head is refused."""


class UncomparableError(ModelError):
    """A model whose predictions have no output metrics, whatever is tried."""


class Head(NamedTuple):
    """The last linear map of a model and what follows: logits = softcap · tanh(scale · (W h + b) /
    softcap), where a softcap of 0 is none.  weight_vd, bias_v: in the model's number type.
    """

    weight_vd: Tensor
    bias_v: Tensor | None = None
    scale: float = 1.0
    softcap: float = 0.0

    def logits(self, states_nd: Tensor) -> Tensor:
        """The logits of states, fp32, shape (n, v), rounded as the model rounds them."""
        made_nv = nn.functional.linear(states_nd, self.weight_vd, self.bias_v)
        if self.scale != 1.0:
            made_nv = made_nv * self.scale
        if self.softcap:
            made_nv = (made_nv / self.softcap).tanh() * self.softcap
        return made_nv.float()


class _Reached(BaseException):
    """Carries the head's input out of the forward pass; no `Exception`, lest models catch it."""

    def __init__(self, states_bpd: Tensor) -> None:
        self.states_bpd = states_bpd


@torch.inference_mode()
def head_inputs(model: PreTrainedModel, inputs_bp: dict[str, Tensor]) -> Tensor:
    """What the head reads at each position, shape (b, p, d); the head itself doesn't run.

    Raises `UncomparableError` where the head isn't run on a vector at each position.
    """

    def stop(_: nn.Module, arguments: tuple[Tensor, ...]) -> NoReturn:
        raise _Reached(arguments[0])

    run: Any = model
    handle = head_module(model).register_forward_pre_hook(stop)
    try:
        run(**supported_inputs(model, inputs_bp))
    except _Reached as reached:
        states_bpd = reached.states_bpd
    else:
        raise UncomparableError(f"{type(model).__name__} doesn't run its output embeddings")
    finally:
        handle.remove()
    if states_bpd.shape[:-1] != inputs_bp["input_ids"].shape:
        raise UncomparableError(
            f"the head of {type(model).__name__} reads {tuple(states_bpd.shape)}, not a vector at "
            f"each of {tuple(inputs_bp['input_ids'].shape)} positions"
        )
    return states_bpd


@torch.inference_mode()
def read_head(model: PreTrainedModel, inputs_bp: dict[str, Tensor]) -> Head:
    """The model's head, checked: on the given texts it makes the log-probabilities that the whole
    model makes.

    Raises `UncomparableError` with the figure where it doesn't, `ActivationError` on NaN.
    """
    module = head_module(model)
    run: Any = model
    wanted_nv = run(**supported_inputs(model, inputs_bp)).logits.flatten(0, 1)
    states_nd = head_inputs(model, inputs_bp).flatten(0, 1)
    if not torch.isfinite(states_nd).all():
        raise ActivationError(f"what the head of {type(model).__name__} reads is NaN or infinite")
    weights = {name: of.to(states_nd.device) for name, of in weight_values(module).items()}
    plain = Head(weights["weight"], weights.get("bias"))
    made_nv = plain.logits(states_nd)
    scale = float((made_nv * wanted_nv.float()).sum() / made_nv.square().sum().clamp_min(1e-30))
    config: Any = model.config.get_text_config()
    softcap = float(getattr(config, "final_logit_softcapping", None) or 0.0)
    forms = [plain, plain._replace(scale=scale), plain._replace(softcap=softcap)]
    worst = [_largest_error(form.logits(states_nd), wanted_nv) for form in forms]
    best = min(range(len(forms)), key=lambda i: worst[i])
    if not worst[best] <= TOLERANCE.get(wanted_nv.dtype, TOLERANCE[torch.float32]):
        raise UncomparableError(
            f"the head of {type(model).__name__} is more than a linear map with a scale or a "
            f"softcap: rebuilt log-probabilities are off by up to {worst[best]:.3g} nats"
        )
    return forms[best]


def head_module(model: PreTrainedModel) -> Any:  # noqa: ANN401  its weight has no type
    """A model's last linear map.  Raises `UncomparableError` where it has none."""
    any_model: Any = model
    module = any_model.get_output_embeddings()
    if not isinstance(module, nn.Module) or getattr(module, "weight", torch.empty(0)).dim() != 2:
        raise UncomparableError(f"{type(model).__name__} has no linear map as its head")
    return module


def _largest_error(made_nv: Tensor, wanted_nv: Tensor) -> float:
    """Of the log-probabilities of outputs that are at all likely, in nats."""
    wanted_nv = wanted_nv.float().log_softmax(-1)
    likely_nv = wanted_nv > -12.0
    return float((made_nv.log_softmax(-1) - wanted_nv)[likely_nv].abs().max())
