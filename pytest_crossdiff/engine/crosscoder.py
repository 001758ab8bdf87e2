"""Crosscoders: one sparse dictionary over the activations of two models.

Axes: t tokens, a baseline width, b candidate width, m all features (baseline-only, then shared,
then candidate-only), p features of one model (A's are the first of m, B's the last).

Source: METHOD 2; Lindsey et al. 2024, Bussmann et al. 2024 (BatchTopK), Gao et al. 2024 (AuxK),
arXiv 2602.11729 (`dfc`).  An exclusive feature has rows in its own model's matrices only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pytest_crossdiff.engine.kernels import Active, active, decode_active, encode_active


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
    def shared_slice(self) -> slice:
        """The shared features' places in m."""
        return slice(self.baseline_only, self.baseline_only + self.shared)

    @property
    def budgets(self) -> tuple[tuple[slice, int], ...]:
        """The groups of features that compete with one another, each with its active count."""
        if self.architecture != "innovation":
            return ((slice(0, self.features), self.k),)
        s = self.shared_slice
        own_a, own_b = slice(0, s.start), slice(s.stop, self.features)
        return ((s, self.k), (own_a, self.k_own), (own_b, self.k_own))

    @property
    def views(self) -> tuple[View, ...]:
        """What is read and reconstructed, by which features."""
        s, m = self.shared_slice, self.features
        if self.architecture != "innovation":
            return (
                View(0, False, slice(0, s.stop), slice(0, s.stop)),
                View(1, True, slice(s.start, m), slice(0, m - s.start)),
            )
        return (
            View(0, False, s, s),
            View(1, True, s, slice(0, self.shared)),
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
    own_a_ta: Tensor | None = None
    own_b_tb: Tensor | None = None

    def squared(self) -> Tensor:
        """Summed squares of each token, shape (t,)."""
        return torch.stack([x.square().sum(-1) for x in self if x is not None]).sum(0)


Outputs = Inputs
"""Reconstructions, or errors, of each input."""


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
            self.register_buffer("map_ab_ab", torch.zeros(c.width_a, c.width_b))
            self.register_buffer("map_ba_ba", torch.zeros(c.width_b, c.width_a))
            self.register_buffer("bias_ab_b", torch.zeros(c.width_b))
            self.register_buffer("bias_ba_a", torch.zeros(c.width_a))
            self.register_buffer("innovation_scale", torch.ones(2))

    def inputs(self, x_ta: Tensor, x_tb: Tensor) -> Inputs:
        """Normalised activations of both models, shapes (t, a) and (t, b), made ready to encode."""
        if self.config.architecture != "innovation":
            return Inputs(x_ta, x_tb)
        own_a_ta = (x_ta - x_tb @ self.map_ba_ba - self.bias_ba_a) / self.innovation_scale[0]
        own_b_tb = (x_tb - x_ta @ self.map_ab_ab - self.bias_ab_b) / self.innovation_scale[1]
        return Inputs(x_ta, x_tb, own_a_ta, own_b_tb)

    def pre_activations(self, x: Inputs) -> Tensor:
        """Encoder output before the nonlinearity, shape (t, m)."""
        pre_tm = self.enc_bias_m.expand(len(x.a_ta), -1).clone()
        for view in self.config.views:
            pre_tm[:, view.features] += self._read(x, view) @ self._rows(view, "enc").T
        return pre_tm

    def decoder_norms(self) -> Tensor:
        """Root of a feature's summed squared decoder weights over the models it has, shape (m,)."""
        squares_m = torch.zeros_like(self.enc_bias_m)
        for view in self.config.views:
            squares_m[view.features] += self._rows(view, "dec").square().sum(1)
        norms_m: Tensor = squares_m.sqrt()
        return norms_m

    def reconstruct(self, f_tm: Tensor, *, bias: bool = True) -> Outputs:
        """Decode feature activations, shape (t, m).

        In `innovation` the shared features reconstruct the models, the exclusive ones the
        innovations (in units of `innovation_scale`).
        """
        made = [f_tm[:, view.features] @ self._rows(view, "dec") for view in self.config.views]
        return self._with_bias(made) if bias else Outputs(*made)

    def errors(self, f_tm: Tensor, x: Inputs, *, bias: bool = True) -> Outputs:
        """Target minus reconstruction."""
        return _minus(x, self.reconstruct(f_tm, bias=bias))

    def learn(
        self, x: Inputs, factor: float = 1.0, guess: Tensor | None = None
    ) -> tuple[Outputs, Active, Tensor]:
        """Encode, select and decode a batch for training: only the encoder's product is dense.

        factor: scales every k.  guess: see `select`.  Returns the errors, the active features and
        the least kept score of each budget.
        """
        with torch.no_grad():
            pre_tm = self.pre_activations(x)
            kept, cuts = self.select(pre_tm, factor, guess)
        on = active(kept)
        # The values are known; only their gradients, to bias and encoder rows, are still to come.
        value = self.enc_bias_m[on.feature] + (pre_tm[kept] - self.enc_bias_m[on.feature]).detach()
        made = []
        for view in self.config.views:
            part = on.within(view.features)
            gradient = encode_active(self._read(x, view), self._rows(view, "enc"), part)
            value = value.index_add(0, part.place, gradient)
        for view in self.config.views:
            part = on.within(view.features)
            made.append(decode_active(value[part.place], self._rows(view, "dec"), part))
        return _minus(x, self._with_bias(made)), on, cuts

    def fill_in(self, x: Inputs, left: Outputs, dead: Tensor, k: int) -> Outputs:
        """AuxK: what `left` is once the `dead` features (indices into m) have reconstructed it with
        the k largest of their pre-activations on each token (Gao et al. 2024, A.2).

        No ReLU stands before the selection, so that the gradient reaches the encoder rows of
        features whose pre-activation is negative everywhere.
        """
        pre_tn = self.enc_bias_m[dead].expand(len(x.a_ta), -1)
        parts = []
        for view in self.config.views:
            at = ((dead >= view.features.start) & (dead < view.features.stop)).nonzero().flatten()
            rows = dead[at] - view.features.start
            read = self._read(x, view) @ self._rows(view, "enc")[rows].T
            pre_tn = pre_tn.index_add(1, at, read)
            parts.append((at, self._rows(view, "dec")[rows]))
        values, chosen = pre_tn.topk(min(k, len(dead)), dim=1, sorted=False)
        f_tn = torch.zeros_like(pre_tn).scatter(1, chosen, values)
        return _minus(left, Outputs(*(f_tn[:, at] @ rows for at, rows in parts)))

    @torch.no_grad()
    def select(
        self, pre_tm: Tensor, factor: float = 1.0, guess: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """BatchTopK: which of the pre-activations are kept, shape (t, m): the k·t largest scores
        f·‖d‖ of each budget; and the least kept score of each.

        guess: scores that are probably a little too low; a good one saves most of the sorting and
        never changes the outcome.
        """
        scores = pre_tm.relu() * self.decoder_norms()
        kept = torch.zeros_like(scores, dtype=torch.bool)
        cuts = []
        for i, (group, k) in enumerate(self.config.budgets):
            part = scores[:, group]
            count = min(int(k * factor * part.shape[0]), part.numel())
            if count == 0:  # a group without features
                cuts.append(scores.new_zeros(()))
                continue
            above = part.flatten() if guess is None else part[part > guess[i]]
            if len(above) < count:
                above = part.flatten()
            cut = above.topk(count, sorted=False).values.min()
            kept[:, group] = (part >= cut) & (part > 0)
            cuts.append(cut)
        return kept, torch.stack(cuts)

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
        a, b = (torch.zeros_like(self.enc_bias_m) for _ in range(2))
        for view in self.config.views:
            norms = b if view.candidate else a
            norms[view.features] = self._rows(view, "dec").norm(dim=1)
        return b > a

    def directions(self, features: Tensor, *, candidate: bool) -> Tensor:
        """Decoder rows of `features` (indices into m) in one of the models, shape (n, width)."""
        return (
            self.dec_b_pb[features - self.config.baseline_only]
            if candidate
            else self.dec_a_pa[features]
        )

    def _read(self, x: Inputs, view: View) -> Tensor:
        read = x[view.target]
        assert read is not None
        return read

    def _rows(self, view: View, which: str) -> Tensor:
        name = f"{which}_b_pb" if view.candidate else f"{which}_a_pa"
        rows: Tensor = getattr(self, name)[view.rows]
        return rows

    def _with_bias(self, made: list[Tensor]) -> Outputs:
        return Outputs(made[0] + self.dec_bias_a, made[1] + self.dec_bias_b, *made[2:])


def _minus(x: Inputs, made: Outputs) -> Outputs:
    left = (None if t is None or m is None else t - m for t, m in zip(x, made, strict=True))
    return Outputs(*left)  # type: ignore[arg-type]  # the first two are never None
