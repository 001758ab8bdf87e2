"""Seconds of each kind of work, from a model that was fitted to runs on CPU cores.

The fit is `python -m benchmarks.speed.cost_model`, which writes `fitted.json`.  On a GPU the same
work is divided by the device's rates and by efficiencies that are assumed, not measured.

Axes of sizes: t tokens of a batch, m features.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_crossdiff.engine.activations.pairs import MAX_NETWORK_PAIRS
from pytest_crossdiff.engine.regression.networks import EPOCHS, HIDDEN, MIXTURES
from pytest_crossdiff.engine.regression.ridge import FOLDS, PROBES, STRENGTHS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_crossdiff.engine.capacity.devices import Device
    from pytest_crossdiff.engine.dictionary.crosscoder import CrosscoderConfig

FITTED = Path(__file__).with_name("fitted.json")
EFFICIENCY, BANDWIDTH_SHARE = 0.4, 0.6
"""Shares of a GPU's rate of products and of its bandwidth that are reached: assumed."""
BYTES = {"active": 64.0, "parameters": 96.0, "selection": 24.0}
"""Moved for one unit of each term of a training step: values of 4 bytes, read or written."""
FLOAT32_SHARE = 1 / 16
"""Rate of products of single precision, in which features are verified, over that of bfloat16:
assumed; it is that of an a100."""
LOAD_BANDWIDTH = 1e9
"""Bytes a second at which weights come from disk: assumed."""


class Fitted(NamedTuple):
    """Seconds of a CPU core for a unit of work.

    step: by term of `step_terms`.  training: of a whole training over its steps, as k is larger at
    first, dead features learn, and maps are fitted.  read: by term of `read_terms`.  verify: by
    term of `verify_terms`.  error: the largest relative error of a row that was left out of the
    fit, by kind; controls: of their whole, which is not fitted but made of training and verifying.
    """

    step: Mapping[str, float]
    training: float
    read: Mapping[str, float]
    verify: Mapping[str, float]
    error: Mapping[str, float]


@functools.cache
def fitted() -> Fitted:
    """What the committed fit found."""
    data: dict[str, Any] = json.loads(FITTED.read_text("utf-8"))
    return Fitted(**{name: data[name] for name in Fitted._fields})


def step_terms(t: int, config: CrosscoderConfig) -> dict[str, float]:
    """What a training step consists of: the encoder's product, the products of active features,
    what is done to every parameter, and to every pre-activation.

    An active feature costs the mean width of the features that it competes with.
    """
    active = sum(
        k * _weights(config, group) / max(1, group.stop - group.start)
        for group, k in config.budgets
    )
    return {
        "constant": 1.0,
        "product": float(t * config.weights),
        "active": float(t * active),
        "parameters": float(config.weights),
        "selection": float(t * config.features),
    }


def _weights(config: CrosscoderConfig, group: slice) -> int:
    """The encoder's numbers of the features in `group`."""
    return sum(
        max(0, min(view.features.stop, group.stop) - max(view.features.start, group.start))
        * (config.width_b if view.candidate else config.width_a)
        for view in config.views
    )


def read_terms(tokens: int, weights: int) -> dict[str, float]:
    """What reading consists of: multiplying each token with `weights`, and what is done for each
    token besides.
    """
    return {"product": float(tokens * weights), "token": float(tokens)}


def verify_terms(
    training: int, heldout: int, configs: Sequence[CrosscoderConfig]
) -> dict[str, float]:
    """What verifying dictionaries of one pair on so many pairs of tokens consists of.

    product: multiply-adds of the probes' inputs with one another, of encoding, of ridge fits in
    each strength and fold, and of the probes' networks, which learn from at most MAX_NETWORK_PAIRS
    and serve all dictionaries together.  design: decomposing the inputs' products.  token: what is
    done for each token and dictionary besides.
    """
    widths = configs[0].width_a, configs[0].width_b
    squares = sum(width**2 for width in widths)
    strengths = len(STRENGTHS[PROBES]) * FOLDS
    learning = min(training, MAX_NETWORK_PAIRS) * (1 - 1 / FOLDS) * EPOCHS
    products = (
        training * squares,
        (training + heldout) * sum(config.weights for config in configs),
        strengths * squares * sum(config.features for config in configs),
        learning * 3 * HIDDEN * (sum(widths) + 2 * MIXTURES),  # forwards, and two ways backwards
    )
    return {
        "dictionary": float(len(configs)),
        "product": float(sum(products)),
        "design": float(sum(width**3 for width in widths)),
        "token": float((training + heldout) * len(configs)),
    }


def seconds(costs: Mapping[str, float], terms: Mapping[str, float]) -> float:
    """Of a CPU core."""
    return sum(costs[name] * amount for name, amount in terms.items())


def step_seconds(device: Device, terms: Mapping[str, float]) -> float:
    """Of a training step."""
    costs = fitted().step
    if not device.flops:
        return seconds(costs, terms)
    moved = sum(BYTES[name] * terms[name] for name in BYTES)
    return (
        costs["constant"]
        + 2 * terms["product"] / (EFFICIENCY * device.flops)
        + moved / (BANDWIDTH_SHARE * device.bandwidth)
    )


def read_seconds(device: Device, terms: Mapping[str, float]) -> float:
    """Of a forward pass; what is done for each token besides stays on a CPU core."""
    costs = fitted().read
    product = costs["product"] * terms["product"]
    if device.flops:
        product = 2 * terms["product"] / (EFFICIENCY * device.flops)
    return product + costs["token"] * terms["token"]


def verify_seconds(device: Device, terms: Mapping[str, float]) -> float:
    """Of a verification; what isn't products stays on a CPU core."""
    costs = fitted().verify
    if not device.flops:
        return seconds(costs, terms)
    rest = seconds(costs, {name: of for name, of in terms.items() if name != "product"})
    return rest + 2 * terms["product"] / (EFFICIENCY * FLOAT32_SHARE * device.flops)
