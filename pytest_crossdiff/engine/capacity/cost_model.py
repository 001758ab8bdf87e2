"""Seconds of each kind of work, from a model that was fitted to runs on CPU cores.

The fit is `python -m benchmarks.speed.cost_model`, which writes `fitted.json`.  On a GPU the same
work is divided by the device's rates and by efficiencies that are assumed, not measured.

Axes of sizes: t tokens of a batch, m features, d both models' widths together, k active features.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_crossdiff.engine.capacity.devices import Device

FITTED = Path(__file__).with_name("fitted.json")
EFFICIENCY, BANDWIDTH_SHARE = 0.4, 0.6
"""Shares of a GPU's rate of products and of its bandwidth that are reached: assumed."""
BYTES = {"active": 64.0, "parameters": 96.0, "selection": 24.0}
"""Moved for one unit of each term of a training step: values of 4 bytes, read or written."""
LOAD_BANDWIDTH = 1e9
"""Bytes a second at which weights come from disk: assumed."""


class Fitted(NamedTuple):
    """Seconds of a CPU core for a unit of work.

    step: by term of `step_terms`.  read: by term of `read_terms`.  verify: of a dictionary for a
    training pair and a unit of d.  controls: as a share of training.  error: the largest relative
    error of a row that was left out of the fit, by kind.
    """

    step: Mapping[str, float]
    read: Mapping[str, float]
    verify: float
    controls: float
    error: Mapping[str, float]


@functools.cache
def fitted() -> Fitted:
    """What the committed fit found."""
    data: dict[str, Any] = json.loads(FITTED.read_text("utf-8"))
    return Fitted(**{name: data[name] for name in Fitted._fields})


def step_terms(t: int, m: int, d: int, k: float) -> dict[str, float]:
    """What a training step consists of: the encoder's product, the products of active features,
    what is done to every parameter, and to every pre-activation.
    """
    return {
        "constant": 1.0,
        "product": float(t * m * d),
        "active": float(t * k * d),
        "parameters": float(m * d),
        "selection": float(t * m),
    }


def read_terms(tokens: int, weights: int) -> dict[str, float]:
    """What reading consists of: multiplying each token with `weights`, and what is done for each
    token besides.
    """
    return {"product": float(tokens * weights), "token": float(tokens)}


def step_seconds(device: Device, terms: Mapping[str, float]) -> float:
    """Of a training step."""
    costs = fitted().step
    if not device.flops:
        return sum(costs[name] * amount for name, amount in terms.items())
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
