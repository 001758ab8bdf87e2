"""A small network that reads feature activations out of one model's vectors (METHOD 3).

It starts from a ridge probe and learns what that leaves, so its class contains the ridge's; on each
feature it goes only as far as documents left out of its training say, so it reads no feature worse
than the ridge there.

Axes: n training pairs, t pairs of a batch, d inputs of one model, p features, h hidden units.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pytest_crossdiff.engine.ridge import LinearMap

HIDDEN = 512
BATCH = 512
LEARNING_RATE = 3e-3
DECAY = 0.1
EPOCHS = 30
PATIENCE = 3
"""Training ends when the left-out documents have gained nothing in so many epochs."""
TOGETHER = 1_024
"""At most so many features share a network."""


class Mlp(NamedTuple):
    """y = linear(x) + relu(x @ hidden_dh + bias_h) @ out_hp + bias_p."""

    linear: LinearMap
    hidden_dh: Tensor
    bias_h: Tensor
    out_hp: Tensor
    bias_p: Tensor

    def __call__(self, x_td: Tensor) -> Tensor:
        return self.linear(x_td) + self.correction(x_td)

    def correction(self, x_td: Tensor) -> Tensor:
        """What is added to the ridge's reading, shape (t, p)."""
        return (x_td @ self.hidden_dh + self.bias_h).relu() @ self.out_hp + self.bias_p


class Probe(NamedTuple):
    """Reads features out of one model's vectors: a ridge probe for all, and networks that add to it
    for some, each with the places of its features.
    """

    linear: LinearMap
    networks: list[tuple[Tensor, Mlp]]

    def __call__(self, x_td: Tensor) -> Tensor:
        made_tp = self.linear(x_td)
        for at, network in self.networks:
            made_tp[:, at] += network.correction(x_td)
        return made_tp


def with_networks(
    linear: LinearMap, wanted: Tensor, x_nd: Tensor, y_np: Tensor, left_out_n: Tensor, seed: int = 0
) -> Probe:
    """A probe that has networks for the features at `wanted`, of which y_np are the activations on
    training pairs x_nd.  Pairs in `left_out_n` only judge.  The same seed gives the same probe.
    """
    networks, done = [], 0
    for at in torch.split(wanted, TOGETHER) if len(wanted) else ():
        start = LinearMap(linear.weight_dp[:, at], linear.bias_p[at])
        y_part = y_np[:, done : done + len(at)]
        networks.append((at, fit_mlp(x_nd, y_part, left_out_n, start, seed)))
        done += len(at)
    return Probe(linear, networks)


def fit_mlp(
    x_nd: Tensor, y_np: Tensor, left_out_n: Tensor, linear: LinearMap, seed: int = 0
) -> Mlp:
    """The probe from x_nd to y_np that adds to `linear` what the pairs outside `left_out_n` teach,
    as far as those inside confirm it.
    """
    device, d, p = x_nd.device, x_nd.shape[1], y_np.shape[1]
    spread_d = x_nd.std(0, correction=0).clamp_min(1e-6)
    unit_p = (y_np - y_np.mean(0)).square().mean(0).sqrt()
    with torch.no_grad():
        rest_np = (y_np - linear(x_nd)) * torch.where(unit_p > 1e-6, 1.0 / unit_p, 0.0)
    x_nd = x_nd / spread_d
    g = torch.Generator().manual_seed(seed)
    hidden = (torch.randn(d, HIDDEN, generator=g) / d**0.5).to(device).requires_grad_()
    bias_h = (0.5 * torch.randn(HIDDEN, generator=g)).to(device).requires_grad_()
    out = torch.zeros(HIDDEN, p, device=device, requires_grad=True)
    bias_p = torch.zeros(p, device=device, requires_grad=True)
    weights = [hidden, bias_h, out, bias_p]

    def predict(x: Tensor) -> Tensor:
        made: Tensor = (x @ hidden + bias_h).relu() @ out + bias_p
        return made

    optimiser = torch.optim.AdamW(weights, LEARNING_RATE, weight_decay=DECAY, fused=True)
    inside = left_out_n.nonzero().flatten()
    learning = (~left_out_n).nonzero().flatten()
    least, best, waited = float("inf"), [w.detach().clone() for w in weights], 0
    for _ in range(EPOCHS if len(inside) and len(learning) and p else 0):
        order = learning[torch.randperm(len(learning), generator=g).to(device)]
        for batch in torch.split(order, BATCH):
            loss = (predict(x_nd[batch]) - rest_np[batch]).square().mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            error = float((predict(x_nd[inside]) - rest_np[inside]).square().mean())
        waited += 1
        if error < least:
            least, best, waited = error, [w.detach().clone() for w in weights], 0
        if waited == PATIENCE:
            break
    with torch.no_grad():
        for weight, kept in zip(weights, best, strict=True):
            weight.copy_(kept)
        made = predict(x_nd[inside])
        # the share of the correction that errs least on the left-out documents
        share_p = (made * rest_np[inside]).sum(0) / made.square().sum(0).clamp_min(1e-12)
        scale_p = share_p.clamp(0, 1) * unit_p
        hidden /= spread_d[:, None]
        return Mlp(
            linear, hidden.detach(), bias_h.detach(), out.detach() * scale_p, bias_p * scale_p
        )
