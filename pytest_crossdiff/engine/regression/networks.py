"""A small network that reads feature activations out of one model's vectors (METHOD 3).

It starts from a ridge probe and learns what that leaves, so its class contains the ridge's; on each
feature it goes only as far as documents left out of its training say, so it reads no feature worse
than the ridge there.  The features of all dictionaries share a hidden layer, so that there is one
for either model.

Axes: n training pairs, t pairs of a batch, d inputs of one model, p features, h hidden units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from pytest_crossdiff.engine.regression.ridge import LinearMap, Moments, fit_on

if TYPE_CHECKING:
    from collections.abc import Sequence

HIDDEN = 512
BATCH = 64
LEARNING_RATE = 1e-2
DECAY = 0.1
EPOCHS = 4
MIXTURES = 256
"""Probes' hidden layer learns from so many random mixtures of the features, where there are more.
"""
FEATURES_PER_NETWORK = 2_048
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
        return self.hidden(x_td) @ self.out_hp + self.bias_p

    def of(self, chosen: Tensor) -> Mlp:
        """The network of some of its features, a mask of shape (p,)."""
        linear = LinearMap(self.linear.weight_dp[:, chosen], self.linear.bias_p[chosen])
        return self._replace(
            linear=linear, out_hp=self.out_hp[:, chosen], bias_p=self.bias_p[chosen]
        )

    def hidden(self, x_td: Tensor) -> Tensor:
        return (x_td @ self.hidden_dh + self.bias_h).relu()


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

    def of(self, positions: Tensor) -> Probe:
        """The probe of some of the features."""
        linear = LinearMap(self.linear.weight_dp[:, positions], self.linear.bias_p[positions])
        place_p = torch.full_like(self.linear.bias_p, -1, dtype=torch.long)
        place_p[positions] = torch.arange(len(positions), device=place_p.device)
        networks = []
        for at, network in self.networks:
            inside = place_p[at] >= 0
            networks.append((place_p[at[inside]], network.of(inside)))
        return Probe(linear, networks)


def with_networks(
    linear: LinearMap, wanted: Tensor, x_nd: Tensor, y_np: Tensor, left_out_n: Tensor, seed: int = 0
) -> Probe:
    """A probe that has networks for the features at `wanted`, of which y_np are the activations on
    training pairs x_nd.  Pairs in `left_out_n` only judge.  The same seed gives the same probe.
    """
    networks, done = [], 0
    for at in torch.split(wanted, FEATURES_PER_NETWORK) if len(wanted) else ():
        start = LinearMap(linear.weight_dp[:, at], linear.bias_p[at])
        y_part = y_np[:, done : done + len(at)]
        networks.append((at, fit_mlp(x_nd, y_part, left_out_n, start, seed)))
        done += len(at)
    return Probe(linear, networks)


@torch.no_grad()
def fit_mlp(
    x_nd: Tensor,
    y_np: Tensor,
    left_out_n: Tensor,
    linear: LinearMap,
    seed: int = 0,
    *,
    epochs: int = EPOCHS,
    mixtures: int = MIXTURES,
) -> Mlp:
    """The probe from x_nd to y_np that adds to `linear` what the pairs outside `left_out_n` teach,
    as far as those inside confirm it.

    The hidden layer learns, for so many epochs, from random mixtures of the features where there
    are more than `mixtures`, which cost less than all of them; what each feature takes of it is
    then a ridge fit.
    """
    device, p = x_nd.device, y_np.shape[1]
    g = torch.Generator().manual_seed(seed)
    inside, training_rows = left_out_n.nonzero().flatten(), (~left_out_n).nonzero().flatten()
    std_d = x_nd.std(0, correction=0).clamp_min(1e-6)
    unit_p = (y_np - y_np.mean(0)).square().mean(0).sqrt()
    residual_np = (y_np - linear(x_nd)) * torch.where(unit_p > 1e-6, 1.0 / unit_p, 0.0)
    mixed_nr = residual_np
    if p > mixtures:
        mixed_nr = residual_np @ (torch.randn(p, mixtures, generator=g) / p**0.5).to(device)
    hidden, bias_h = _hidden(x_nd / std_d, mixed_nr, training_rows, epochs, g)
    hidden /= std_d[:, None]
    made = Mlp(linear, hidden, bias_h, hidden.new_zeros(HIDDEN, p), hidden.new_zeros(p))
    if not (len(inside) and len(training_rows) and p):
        return made
    h_nh = made.hidden(x_nd)
    folds = [Moments(HIDDEN, p, device) for _ in range(2)]
    for moments, rows in zip(folds, (training_rows, inside), strict=True):
        moments.add(h_nh[rows], residual_np[rows])
    out = fit_on(folds[0], folds[1])
    read_np = out(h_nh[inside])
    # the share of the correction that errs least on the left-out documents
    share_p = (read_np * residual_np[inside]).sum(0) / read_np.square().sum(0).clamp_min(1e-12)
    scale_p = share_p.clamp(0, 1) * unit_p
    return made._replace(out_hp=out.weight_dp * scale_p, bias_p=out.bias_p * scale_p)


def _hidden(
    x_nd: Tensor, y_nr: Tensor, training_rows: Tensor, epochs: int, g: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The hidden layer of a network that learns y_nr from x_nd on the `learning` pairs: its weights
    (d, h) and biases (h).
    """
    device, (d, r) = x_nd.device, (x_nd.shape[1], y_nr.shape[1])
    hidden_dh = (torch.randn(d, HIDDEN, generator=g) / d**0.5).to(device)
    bias_h = (0.5 * torch.randn(HIDDEN, generator=g)).to(device)
    out_hr, bias_r = torch.zeros(HIDDEN, r, device=device), torch.zeros(r, device=device)
    weights = [hidden_dh, bias_h, out_hr, bias_r]
    optimiser = torch.optim.AdamW(weights, LEARNING_RATE, weight_decay=DECAY, fused=True)
    steps = max(1, epochs * -(-len(training_rows) // BATCH))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(epochs if r else 0):
        order = training_rows[torch.randperm(len(training_rows), generator=g).to(device)]
        for batch in torch.split(order, BATCH):
            for weight, slope in zip(
                weights, mse_gradients(weights, x_nd[batch], y_nr[batch]), strict=True
            ):
                weight.grad = slope
            optimiser.step()
            schedule.step()
    return hidden_dh, bias_h


def mse_gradients(weights: Sequence[Tensor], x_bd: Tensor, y_br: Tensor) -> tuple[Tensor, ...]:
    """The gradients of the mean squared error of relu(x @ hidden + bias) @ out + bias, in the order
    of the weights.  By hand, for these steps are so small that autograd would cost as much.
    """
    hidden_dh, bias_h, out_hr, bias_r = weights
    h_bh = torch.addmm(bias_h, x_bd, hidden_dh).relu_()
    error_br = (torch.addmm(bias_r, h_bh, out_hr) - y_br) * (2 / y_br.numel())
    back_bh = (error_br @ out_hr.T).mul_(h_bh > 0)
    return x_bd.T @ back_bh, back_bh.sum(0), h_bh.T @ error_br, error_br.sum(0)
