"""Crosscoders: one sparse dictionary over the activations of two models.

Axes: t tokens, a baseline width, b candidate width, s shared features, m all features
(shared, then baseline-only, then candidate-only), p features of one model (shared and its own).

Source: METHOD 2; Lindsey et al. 2024, Bussmann et al. 2024 (BatchTopK), Gao et al. 2024 (AuxK),
arXiv 2602.11729 (`dfc`).  An exclusive feature has rows in its own model's matrices only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class CrosscoderConfig:
    """Sizes and kind of a crosscoder.

    standard: every feature may use both models.  dfc: exclusive features are encoded from and
    decoded to their own model.  innovation: exclusive features are encoded from, and reconstruct,
    the part of their model that the other doesn't predict, with a budget of their own, `k_own`.
    """

    architecture: str
    width_a: int
    width_b: int
    shared: int
    baseline_only: int
    candidate_only: int
    k: int
    k_own: int = 1

    @property
    def features(self) -> int:
        return self.shared + self.baseline_only + self.candidate_only

    @property
    def budgets(self) -> tuple[tuple[slice, int], ...]:
        """The groups of features that compete with one another, each with its active count."""
        s, own = self.shared, self.shared + self.baseline_only
        if self.architecture != "innovation":
            return ((slice(0, self.features), self.k),)
        return (
            (slice(0, s), self.k),
            (slice(s, own), self.k_own),
            (slice(own, self.features), self.k_own),
        )


class Outputs(NamedTuple):
    """One tensor for each target: both models and, for `innovation`, their unpredicted parts."""

    a_ta: Tensor
    b_tb: Tensor
    own_a_ta: Tensor | None = None
    own_b_tb: Tensor | None = None

    def squared(self) -> Tensor:
        """Summed squares of each token, shape (t,)."""
        return torch.stack([e.square().sum(-1) for e in self if e is not None]).sum(0)


class Inputs(NamedTuple):
    """What a crosscoder reads: both models and, for `innovation`, their unpredicted parts."""

    a_ta: Tensor
    b_tb: Tensor
    own_a_ta: Tensor
    own_b_tb: Tensor


class Crosscoder(nn.Module):
    """A crosscoder with ragged weights; its inputs are normalised (see `activations.py`)."""

    map_ab_ab: Tensor
    map_ba_ba: Tensor
    bias_ab_b: Tensor
    bias_ba_a: Tensor
    innovation_scale: Tensor
    threshold: Tensor

    def __init__(self, config: CrosscoderConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = c = config
        generator = torch.Generator().manual_seed(seed)

        def directions(rows: int, width: int) -> Tensor:
            made: Tensor = torch.randn(rows, width, generator=generator) / width**0.5
            return made

        dec_a_pa = directions(c.shared + c.baseline_only, c.width_a)
        dec_b_pb = directions(c.shared + c.candidate_only, c.width_b)
        dec_a_pa[: c.shared] *= 0.5**0.5  # so that every feature starts with norm 1 over its models
        dec_b_pb[: c.shared] *= 0.5**0.5
        self.dec_a_pa = nn.Parameter(dec_a_pa)
        self.dec_b_pb = nn.Parameter(dec_b_pb)
        self.enc_a_ap = nn.Parameter(dec_a_pa.T.clone(memory_format=torch.contiguous_format))
        self.enc_b_bp = nn.Parameter(dec_b_pb.T.clone(memory_format=torch.contiguous_format))
        self.enc_bias_m = nn.Parameter(torch.zeros(c.features))
        self.dec_bias_a = nn.Parameter(torch.zeros(c.width_a))
        self.dec_bias_b = nn.Parameter(torch.zeros(c.width_b))
        self.register_buffer("threshold", torch.zeros(len(c.budgets)))
        if c.architecture == "innovation":
            self.register_buffer("map_ab_ab", torch.zeros(c.width_a, c.width_b))
            self.register_buffer("map_ba_ba", torch.zeros(c.width_b, c.width_a))
            self.register_buffer("bias_ab_b", torch.zeros(c.width_b))
            self.register_buffer("bias_ba_a", torch.zeros(c.width_a))
            self.register_buffer("innovation_scale", torch.ones(2))

    def inputs(self, x_ta: Tensor, x_tb: Tensor) -> Inputs:
        """Normalised activations of both models, shapes (t, a) and (t, b), made ready to encode."""
        if self.config.architecture != "innovation":
            return Inputs(x_ta, x_tb, x_ta, x_tb)
        own_a_ta = (x_ta - x_tb @ self.map_ba_ba - self.bias_ba_a) / self.innovation_scale[0]
        own_b_tb = (x_tb - x_ta @ self.map_ab_ab - self.bias_ab_b) / self.innovation_scale[1]
        return Inputs(x_ta, x_tb, own_a_ta, own_b_tb)

    def pre_activations(self, x: Inputs) -> Tensor:
        """Encoder output before the nonlinearity, shape (t, m)."""
        s = self.config.shared
        shared_ts = torch.addmm(x.b_tb @ self.enc_b_bp[:, :s], x.a_ta, self.enc_a_ap[:, :s])
        own_a = x.own_a_ta @ self.enc_a_ap[:, s:]
        own_b = x.own_b_tb @ self.enc_b_bp[:, s:]
        return torch.cat((shared_ts, own_a, own_b), dim=1) + self.enc_bias_m

    def decoder_norms(self) -> Tensor:
        """Root of a feature's summed squared decoder weights over the models it has, shape (m,)."""
        s = self.config.shared
        a, b = self.dec_a_pa.square().sum(1), self.dec_b_pb.square().sum(1)
        return torch.cat((a[:s] + b[:s], a[s:], b[s:])).sqrt()

    def reconstruct(self, f_tm: Tensor, *, bias: bool = True) -> Outputs:
        """Decode feature activations, shape (t, m).

        In `innovation` the shared features reconstruct the models, the exclusive ones the
        innovations (in units of `innovation_scale`).
        """
        c = self.config
        s, own = c.shared, c.shared + c.baseline_only
        if c.architecture == "innovation":
            outputs = Outputs(
                f_tm[:, :s] @ self.dec_a_pa[:s],
                f_tm[:, :s] @ self.dec_b_pb[:s],
                f_tm[:, s:own] @ self.dec_a_pa[s:],
                f_tm[:, own:] @ self.dec_b_pb[s:],
            )
        else:
            f_b_tp = torch.cat((f_tm[:, :s], f_tm[:, own:]), dim=1)
            outputs = Outputs(f_tm[:, :own] @ self.dec_a_pa, f_b_tp @ self.dec_b_pb)
        if bias:
            outputs = outputs._replace(
                a_ta=outputs.a_ta + self.dec_bias_a, b_tb=outputs.b_tb + self.dec_bias_b
            )
        return outputs

    def errors(self, f_tm: Tensor, x: Inputs, *, bias: bool = True) -> Outputs:
        """Target minus reconstruction."""
        made = self.reconstruct(f_tm, bias=bias)
        own_a = None if made.own_a_ta is None else x.own_a_ta - made.own_a_ta
        own_b = None if made.own_b_tb is None else x.own_b_tb - made.own_b_tb
        return Outputs(x.a_ta - made.a_ta, x.b_tb - made.b_tb, own_a, own_b)

    def keep_largest(self, f_tm: Tensor, factor: float = 1.0) -> tuple[Tensor, Tensor]:
        """BatchTopK: keep the k·t largest scores f·‖d‖ of each budget.

        Returns the kept activations, shape (t, m), and the least kept score of each budget.
        `factor` scales every k (for the anneal at the start).
        """
        with torch.no_grad():
            scores = f_tm * self.decoder_norms()
            mask = torch.zeros_like(scores, dtype=torch.bool)
            cuts = []
            for group, k in self.config.budgets:
                part = scores[:, group]
                count = min(int(k * factor * part.shape[0]), part.numel())
                if count == 0:  # a group without features
                    cuts.append(scores.new_zeros(()))
                    continue
                cut = part.flatten().topk(count, sorted=False).values.min()
                mask[:, group] = (part >= cut) & (part > 0)
                cuts.append(cut)
        return f_tm * mask, torch.stack(cuts)

    @torch.no_grad()
    def encode(self, x_ta: Tensor, x_tb: Tensor) -> Tensor:
        """Feature activations at inference, shape (t, m): the fixed threshold on f·‖d‖ makes each
        token independent of its batch.
        """
        f_tm = self.pre_activations(self.inputs(x_ta, x_tb)).relu()
        scores = f_tm * self.decoder_norms()
        for i, (group, _) in enumerate(self.config.budgets):
            f_tm[:, group] *= scores[:, group] > self.threshold[i]
        return f_tm

    @torch.no_grad()
    def owner_is_candidate(self) -> Tensor:
        """Which model a feature is tested as belonging to, shape (m,): its partition's, and for a
        shared feature the one in which its direction is longer.
        """
        s, c = self.config.shared, self.config
        shared = self.dec_b_pb[:s].norm(dim=1) > self.dec_a_pa[:s].norm(dim=1)
        own = torch.tensor([False, True], device=shared.device)
        return torch.cat(
            (
                shared,
                own.repeat_interleave(
                    torch.tensor([c.baseline_only, c.candidate_only], device=shared.device)
                ),
            )
        )

    def directions(self, features: Tensor, side: str) -> Tensor:
        """Decoder rows of `features` (indices into m) in the model of `side`, shape (n, width)."""
        if side == "baseline":
            return self.dec_a_pa[features]
        own = self.config.shared + self.config.baseline_only
        return self.dec_b_pb[
            torch.where(features < own, features, features - self.config.baseline_only)
        ]
