"""The held-out documents: what the features do there that one model may lack, and how well probes
read them from either model (METHOD 3).

Axes: n held-out pairs, t pairs of a block, m features, p candidates of one dictionary, q those of
all dictionaries, one dictionary after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytest_crossdiff.engine.dictionary.step import errors_of
from pytest_crossdiff.engine.regression.networks import Probe, with_networks
from pytest_crossdiff.engine.regression.ridge import LinearMap, in_folds
from pytest_crossdiff.engine.sparse.firing import Firing
from pytest_crossdiff.engine.verification import clusters
from pytest_crossdiff.engine.verification.ablation import Ablation
from pytest_crossdiff.engine.verification.exclusivity import MIN_DOCUMENTS, Tally
from pytest_crossdiff.engine.verification.latent_scaling import Scaling
from pytest_crossdiff.engine.verification.rewritten import Writing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder
    from pytest_crossdiff.engine.sparse.kernels import Active
    from pytest_crossdiff.engine.verification.exclusivity import Screen, Sums
    from pytest_crossdiff.engine.verification.latent_scaling import LatentScaling
    from pytest_crossdiff.engine.verification.model_distance import Apart
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side


@dataclass(frozen=True)
class Candidates:
    """The features of one dictionary that may be a difference.

    f_np: their held-out activations.  strength_p: of each by itself.  joint_p: of each with those
    that fire with it.  alone_p: whether ridge probes find it in one model alone, on training text.
    partner_p: of these, the place of one of the other model that fires with it, or -1.  written_p:
    whether it may be rewritten (`rewriting.py`).  open_p: whether nothing but the probes can rule
    it out.  scaling: None where the widths differ.
    """

    index_p: NDArray[np.int64]
    own_is_b_p: NDArray[np.bool_]
    f_np: Firing
    ablation: Ablation
    strength_p: NDArray[np.float64]
    joint_p: NDArray[np.float64]
    alone_p: NDArray[np.bool_]
    partner_p: NDArray[np.int64]
    written_p: NDArray[np.bool_]
    open_p: NDArray[np.bool_]
    scaling: LatentScaling | None


class Innovations(NamedTuple):
    """What either model has and the other doesn't predict, and where a dictionary's features fire
    on the training pairs of `Pairs.thinned`.
    """

    model: Crosscoder
    on: Active
    device: torch.device

    def blocks(self, pairs: Pairs, side: Side, rows: NDArray[np.int64]) -> Iterator[Tensor]:
        """One pass over `rows`, in the units of the model's normalised vectors, shape (t, d)."""
        for _, x_a, x_b in pairs.blocks(rows, self.device):
            if side == "candidate":
                yield self.model.to_b.left(x_a, x_b)
            else:
                yield self.model.to_a.left(x_b, x_a)


@dataclass(frozen=True)
class Heldout(Candidates):
    """What probes read of them, too: sums are what either R² is made from, norm_p the length of
    their directions in their own model.  innovations: None where the dictionary has none.
    """

    norm_p: NDArray[np.float64]
    sums: Sums
    probes: tuple[Probe, Probe]
    pairs: Pairs
    innovations: Innovations | None

    @torch.no_grad()
    def other(self, positions: Sequence[int], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """What the other model predicts of candidates of one side on some of the held-out pairs,
        shape (rows, positions).
        """
        which = int(not self.own_is_b_p[positions[0]])
        chosen = self.pairs.heldout()[rows]
        x_td = self.pairs.probed(chosen, *self.pairs.batch(chosen))[which]
        probe = self.probes[which]
        device = probe.linear.bias_p.device
        read_tp = probe.of(torch.tensor(positions, device=device))(x_td.to(device))
        return np.asarray(read_tp.cpu().numpy())


@torch.no_grad()
def measure(
    models: Sequence[Crosscoder],
    pairs: Pairs,
    screens: Sequence[Screen],
    far: Apart,
    settings: Settings,
    device: torch.device,
) -> list[Heldout]:
    """Choose each dictionary's features whose exclusivity on training text is above the setting's,
    and between related models those of the exclusive parts that may be rewritten, and pass over the
    held-out pairs with them.
    """
    has_maps = models[0].config.architecture == "innovation"
    rewritten = settings.rewritten and far.related and has_maps
    found = [
        _candidates(*of, pairs, settings, device, rewritten=rewritten)
        for of in zip(models, screens, strict=True)
    ]
    probes = _probes(found, screens, pairs, device, network=settings.probe == "mlp")
    sums = _read(found, probes, pairs, device)
    made, start = [], 0
    for c, model, screened in zip(found, models, screens, strict=True):
        part = np.arange(start, start + len(c.index_p))
        norm_p, (from_a, from_b) = c.ablation.direction_norms(), probes
        at = torch.from_numpy(part).to(device)
        read_by = from_a.of(at), from_b.of(at)
        own = Innovations(model, screened.on, device) if has_maps else None
        made.append(
            Heldout(
                **vars(c),
                norm_p=norm_p,
                sums=sums.of(part),
                probes=read_by,
                pairs=pairs,
                innovations=own,
            )
        )
        start += len(part)
    return made


def _candidates(
    model: Crosscoder,
    screened: Screen,
    pairs: Pairs,
    settings: Settings,
    device: torch.device,
    *,
    rewritten: bool,
) -> Candidates:
    own_is_b_m = model.owner_is_candidate().cpu().numpy()
    alone_m = screened.exclusivity(own_is_b_m) > settings.exclusivity
    part_m = np.full(len(alone_m), fill_value=rewritten)
    part_m[model.config.shared_slice] = False
    index_p = np.flatnonzero(alone_m | part_m)
    chosen = torch.from_numpy(index_p).to(device)
    owner_p = torch.from_numpy(own_is_b_m[index_p]).to(device)
    ablation, writing = Ablation(model, chosen, owner_p), Writing(model, signed=pairs.same_words)
    alike = model.config.width_a == model.config.width_b
    scaling = Scaling(model, chosen, owner_p) if alike else None
    firing, group_n = Firing(len(index_p)), pairs.group_n[pairs.heldout()]
    fires_gp = np.zeros((group_n.max() + 1, len(index_p)), dtype=bool)
    for _, x_a, x_b in pairs.blocks(pairs.heldout(), device):
        x = model.inputs(x_a, x_b)
        on = model.active(x)
        tested, errors = on.only(chosen), errors_of(model, x, on)
        ablation.add(tested, x, errors)
        if scaling is not None:
            scaling.add(tested, x, errors)
        if rewritten:
            writing.add(on, x)
        done = firing.shape[0]
        active = [of.cpu().numpy() for of in (tested.token, tested.feature, tested.value)]
        firing.add(tested.tokens, *active)
        fires_gp[group_n[done + active[0]], active[1]] = True
    strength_p = ablation.strengths(own_is_b_m[index_p])
    joint_p = ablation.joint_strengths(own_is_b_m[index_p])
    unmapped_p = writing.unmapped()[index_p]
    written_p = part_m[index_p] & (unmapped_p > settings.exclusivity)
    written_p &= joint_p > settings.least_strength
    worth_p = np.flatnonzero(alone_m[index_p] | written_p)
    index_p, written_p = index_p[worth_p], written_p[worth_p]
    strength_p, joint_p = strength_p[worth_p], joint_p[worth_p]
    ablation, firing = ablation.only(worth_p), firing.only(worth_p)
    own_is_b_p, alone_p = own_is_b_m[index_p], alone_m[index_p]
    partner_p = clusters.duplicates(ablation.correlation(), own_is_b_p, alone_p)
    enough_p = fires_gp[:, worth_p].sum(0) >= MIN_DOCUMENTS
    enough_p &= joint_p > settings.least_strength
    return Candidates(
        index_p,
        own_is_b_p,
        firing,
        ablation,
        strength_p,
        joint_p,
        alone_p,
        partner_p,
        written_p,
        enough_p & (alone_p & (partner_p < 0) | written_p),
        scaling.ratios(worth_p) if scaling else None,
    )


def _probes(
    found: Sequence[Candidates],
    screens: Sequence[Screen],
    pairs: Pairs,
    device: torch.device,
    *,
    network: bool,
) -> tuple[Probe, Probe]:
    """What reads the candidates of all dictionaries from the baseline and from the candidate."""
    linear = [
        LinearMap(
            torch.cat([of.weight_dp[:, c.index_p] for of, c in zip(maps, found, strict=True)], 1),
            torch.cat([of.bias_p[c.index_p] for of, c in zip(maps, found, strict=True)]),
        )
        for maps in ([s.from_a for s in screens], [s.from_b for s in screens])
    ]
    wanted = torch.from_numpy(np.flatnonzero(np.concatenate([c.open_p for c in found]))).to(device)
    if not network or not len(wanted):
        return Probe(linear[0], []), Probe(linear[1], [])
    open_m = [torch.from_numpy(c.index_p[c.open_p]).to(device) for c in found]
    y_nq = torch.cat([s.on.columns(of) for s, of in zip(screens, open_m, strict=True)], 1)
    rows, _ = pairs.thinned()
    blocks = [pairs.probed(block, *x) for block, *x in pairs.blocks(rows, device)]
    left_out_n = in_folds(y_nq, pairs.group_n[rows])[0]
    a, b = (
        with_networks(of, wanted, torch.cat(x), y_nq, left_out_n)
        for of, x in zip(linear, zip(*blocks, strict=True), strict=True)
    )
    return a, b


def _read(
    found: Sequence[Candidates], probes: tuple[Probe, Probe], pairs: Pairs, device: torch.device
) -> Sums:
    """Pass over the held-out pairs with the probes."""
    heldout = pairs.heldout()
    groups, group_n = np.unique(pairs.group_n[heldout], return_inverse=True)
    tally, done = Tally(len(groups), sum(len(c.index_p) for c in found)), 0
    for number, (block, *inputs) in enumerate(pairs.blocks(heldout, device)):
        x_a, x_b = pairs.probed(block, *inputs)
        f_tq = np.concatenate([c.f_np.block(number, np.arange(len(c.index_p))) for c in found], 1)
        where = torch.from_numpy(group_n[done : done + len(f_tq)])
        tally.add(where, torch.from_numpy(f_tq).to(device), probes[0](x_a), probes[1](x_b))
        done += len(f_tq)
    return tally.sums()
