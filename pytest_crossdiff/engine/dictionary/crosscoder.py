"""Crosscoders: one sparse dictionary over the activations of two models.

Axes: t tokens, a baseline width, b candidate width, m all features (baseline-only, then shared,
then candidate-only), p features of one model (A's are the first of m, B's the last).

Source: METHOD 2; Lindsey et al. 2024, Bussmann et al. 2024 (BatchTopK), Gao et al. 2024 (AuxK),
arXiv 2602.11729 (`dfc`).  An exclusive feature has rows in its own model's matrices only.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pytest_crossdiff.engine.dictionary.maps import Map
from pytest_crossdiff.engine.sparse.kernels import ActiveFeatures, add_product, select_above


@dataclass(frozen=True)
class CrosscoderConfig:
    """Sizes and kind of a crosscoder.

    standard: every feature may use both models.  dfc: exclusive features are encoded from and
    decoded to their own model.  innovation: exclusive features are encoded from, and reconstruct,
    the part of their model that the other doesn't predict, with a budget of their own, `k_own`; as
    nothing ties these to the shared features, there may be none of those.  map_units: hidden units
    of what predicts it, 0 for linear maps.
    """

    architecture: str
    width_a: int
    width_b: int
    shared: int
    baseline_only: int
    candidate_only: int
    k: int
    k_own: float = 0.5
    map_units: int = 0

    @property
    def features(self) -> int:
        return self.shared + self.baseline_only + self.candidate_only

    @property
    def weights(self) -> int:
        """Numbers of the encoder; the decoder has as many."""
        own = self.baseline_only * self.width_a + self.candidate_only * self.width_b
        return self.shared * (self.width_a + self.width_b) + own

    @property
    def shared_slice(self) -> slice:
        """The shared features' places in m."""
        return slice(self.baseline_only, self.baseline_only + self.shared)

    @property
    def budgets(self) -> tuple[tuple[slice, float], ...]:
        """The groups of features that compete with one another, each with its active count."""
        if self.architecture != "innovation":
            return ((slice(0, self.features), self.k),)
        s = self.shared_slice
        own_a, own_b = slice(0, s.start), slice(s.stop, self.features)
        of_shared = ((s, self.k),) if self.shared else ()
        return (*of_shared, (own_a, self.k_own), (own_b, self.k_own))

    @property
    def reconstructs_models(self) -> bool:
        """Whether it reconstructs the models, and not their innovations alone."""
        return self.architecture != "innovation" or self.shared > 0

    def exclusive_only(self) -> CrosscoderConfig:
        """The same without shared features; `innovation` alone can do without them."""
        return dataclasses.replace(self, shared=0) if self.architecture == "innovation" else self

    @property
    def views(self) -> tuple[View, ...]:
        """What is read and reconstructed, by which features."""
        s, m = self.shared_slice, self.features
        if self.architecture != "innovation":
            return (
                View(0, False, slice(0, s.stop), slice(0, s.stop)),
                View(1, True, slice(s.start, m), slice(0, m - s.start)),
            )
        of_shared = (View(0, False, s, s), View(1, True, s, slice(0, self.shared)))
        return (
            *(of_shared if self.shared else ()),
            View(2, False, slice(0, s.start), slice(0, s.start)),
            View(3, True, slice(s.stop, m), slice(self.shared, m - s.start)),
        )


class View(NamedTuple):
    """A target: its place in `Inputs` and `Outputs`, whether it is the candidate's, the features
    that read and reconstruct it (in m), and their rows in that model's matrices.
    """

    target: int
    candidate: bool
    features: slice
    rows: slice


class Inputs(NamedTuple):
    """What a crosscoder reads and reconstructs: both models' normalised vectors and, for
    `innovation`, the parts of each that the other doesn't predict.
    """

    a_ta: Tensor
    b_tb: Tensor
    innovation_a_ta: Tensor | None = None
    innovation_b_tb: Tensor | None = None


class Outputs(NamedTuple):
    """Reconstructions, or errors, of each input that a crosscoder reconstructs."""

    a_ta: Tensor | None
    b_tb: Tensor | None
    innovation_a_ta: Tensor | None = None
    innovation_b_tb: Tensor | None = None

    def squared(self) -> Tensor:
        """Summed squares of each token, shape (t,)."""
        return torch.stack([x.square().sum(-1) for x in self if x is not None]).sum(0)


class Crosscoder(nn.Module):
    """A crosscoder with ragged weights; its inputs are normalised (see `activations.py`)."""

    innovation_scale: Tensor
    linear_scale: Tensor
    threshold: Tensor

    def __init__(self, config: CrosscoderConfig, seed: int = 0) -> None:
        super().__init__()
        self.config = c = config
        generator = torch.Generator().manual_seed(seed)

        def directions(rows: int, width: int, shared: slice) -> Tensor:
            made: Tensor = torch.randn(rows, width, generator=generator) / width**0.5
            made[shared] *= 0.5**0.5  # so that every feature starts with norm 1 over its models
            return made

        dec_a_pa = directions(c.baseline_only + c.shared, c.width_a, c.shared_slice)
        dec_b_pb = directions(c.shared + c.candidate_only, c.width_b, slice(0, c.shared))
        self.dec_a_pa, self.dec_b_pb = nn.Parameter(dec_a_pa), nn.Parameter(dec_b_pb)
        self.enc_a_pa, self.enc_b_pb = (
            nn.Parameter(dec_a_pa.clone()),
            nn.Parameter(dec_b_pb.clone()),
        )
        self.enc_bias_m = nn.Parameter(torch.zeros(c.features))
        self.dec_bias_a = nn.Parameter(torch.zeros(c.width_a))
        self.dec_bias_b = nn.Parameter(torch.zeros(c.width_b))
        self.register_buffer("threshold", torch.zeros(len(c.budgets)))
        if c.architecture == "innovation":
            self.to_a = Map(c.width_b, c.width_a, c.map_units)
            self.to_b = Map(c.width_a, c.width_b, c.map_units)
            self.register_buffer("innovation_scale", torch.ones(2))
            self.register_buffer("linear_scale", torch.ones(2))

    def inputs(self, x_ta: Tensor, x_tb: Tensor) -> Inputs:
        """Normalised activations of both models, shapes (t, a) and (t, b), made ready to encode."""
        if self.config.architecture != "innovation":
            return Inputs(x_ta, x_tb)
        innovation_a_ta = self.to_a.residual(x_tb, x_ta) / self.innovation_scale[0]
        innovation_b_tb = self.to_b.residual(x_ta, x_tb) / self.innovation_scale[1]
        return Inputs(x_ta, x_tb, innovation_a_ta, innovation_b_tb)

    def pre_activations(self, x: Inputs, out_mt: Tensor | None = None) -> Tensor:
        """Encoder output before the nonlinearity, shape (m, t): by feature, so that a view's lie
        together; written into `out_mt` where that is given.
        """
        pre_mt = x.a_ta.new_empty(self.config.features, len(x.a_ta)) if out_mt is None else out_mt
        pre_mt.copy_(self.enc_bias_m[:, None].expand_as(pre_mt))
        for view in self.config.views:
            add_product(pre_mt[view.features], self.rows(view, "enc"), self.read(x, view))
        return pre_mt

    def decoder_norms(self) -> Tensor:
        """Root of a feature's summed squared decoder weights over the models it has, shape (m,)."""
        squares_m = torch.zeros_like(self.enc_bias_m)
        for view in self.config.views:
            squares_m[view.features] += torch.linalg.vector_norm(self.rows(view, "dec"), dim=1) ** 2
        norms_m: Tensor = squares_m.sqrt()
        return norms_m

    def reconstruct(self, f_tm: Tensor, *, bias: bool = True) -> Outputs:
        """Decode feature activations, shape (t, m).

        In `innovation` the shared features reconstruct the models, the exclusive ones the
        innovations (in units of `innovation_scale`).
        """
        made = [f_tm[:, view.features] @ self.rows(view, "dec") for view in self.config.views]
        return self.with_bias(made) if bias else self._outputs(made)

    def errors(self, f_tm: Tensor, x: Inputs, *, bias: bool = True) -> Outputs:
        """Target minus reconstruction."""
        return residuals(x, self.reconstruct(f_tm, bias=bias))

    @torch.no_grad()
    def active(self, x: Inputs) -> ActiveFeatures:
        """The features that are active at inference: the fixed threshold on f·‖d‖ makes each token
        independent of its batch.
        """
        least_m = torch.empty_like(self.enc_bias_m)
        for (group, _), least in zip(self.config.budgets, self.threshold, strict=True):
            least_m[group] = least
        return select_above(self.pre_activations(x), self.decoder_norms(), least_m)

    def encode(self, x_ta: Tensor, x_tb: Tensor) -> Tensor:
        """Feature activations at inference, shape (t, m)."""
        every = torch.arange(self.config.features, device=x_ta.device)
        return self.active(self.inputs(x_ta, x_tb)).columns(every)

    @torch.no_grad()
    def owner_is_candidate(self) -> Tensor:
        """Which model a feature is tested as belonging to, shape (m,): its partition's, and for a
        shared feature the one in which its direction is longer.
        """
        a, b = (torch.zeros_like(self.enc_bias_m) for _ in range(2))
        for view in self.config.views:
            norms = b if view.candidate else a
            norms[view.features] = self.rows(view, "dec").norm(dim=1)
        return b > a

    def directions(self, features: Tensor, *, candidate: bool) -> Tensor:
        """Decoder rows of `features` (indices into m) in one of the models, shape (n, width)."""
        return (
            self.dec_b_pb[features - self.config.baseline_only]
            if candidate
            else self.dec_a_pa[features]
        )

    def read(self, x: Inputs, view: View) -> Tensor:
        """What a view reads, shape (t, d)."""
        read = x[view.target]
        assert read is not None
        return read

    def weights(self, view: View, which: str) -> nn.Parameter:
        """The encoder or decoder, `enc` or `dec`, of a view's model, shape (p, width)."""
        name = f"{which}_b_pb" if view.candidate else f"{which}_a_pa"
        found: nn.Parameter = getattr(self, name)
        return found

    def rows(self, view: View, which: str) -> Tensor:
        """A view's rows of its model's encoder or decoder, shape (p, d)."""
        return self.weights(view, which)[view.rows]

    def with_bias(self, made: list[Tensor]) -> Outputs:
        """Reconstructions of each view, with what the decoder adds to every token."""
        if not self.config.reconstructs_models:
            return self._outputs(made)
        return Outputs(made[0] + self.dec_bias_a, made[1] + self.dec_bias_b, *made[2:])

    def _outputs(self, made: list[Tensor]) -> Outputs:
        return Outputs(*made) if self.config.reconstructs_models else Outputs(None, None, *made)


def residuals(x: Inputs, made: Outputs) -> Outputs:
    """Target minus reconstruction, of each view."""
    both = zip(x, made, strict=True)
    return Outputs(*(None if t is None or m is None else t - m for t, m in both))
