"""The held-out documents: what the features do there that one model may lack, and how well probes
read them from either model (METHOD 3).

Axes: n held-out pairs, t pairs of a block, m features, p candidates of one dictionary, q those of
all dictionaries, one dictionary after the other.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytest_crossdiff.engine.dictionary.side_by_side import one_by_one
from pytest_crossdiff.engine.dictionary.step import reconstruction_errors
from pytest_crossdiff.engine.regression.networks import Probe, with_networks
from pytest_crossdiff.engine.regression.ridge import LinearMap, fold_masks
from pytest_crossdiff.engine.sparse.firing import SparseActivations
from pytest_crossdiff.engine.verification import clusters
from pytest_crossdiff.engine.verification.ablation import Ablation
from pytest_crossdiff.engine.verification.exclusivity import MIN_DOCUMENTS, SumsBuilder
from pytest_crossdiff.engine.verification.latent_scaling import LatentScalingBuilder
from pytest_crossdiff.engine.verification.rewritten import RewritingSums

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder
    from pytest_crossdiff.engine.dictionary.side_by_side import Run
    from pytest_crossdiff.engine.sparse.kernels import ActiveFeatures
    from pytest_crossdiff.engine.verification.exclusivity import ScreeningResult, Sums
    from pytest_crossdiff.engine.verification.latent_scaling import LatentScaling
    from pytest_crossdiff.engine.verification.model_distance import ModelDistance
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side


@dataclass(frozen=True)
class Candidates:
    """The features of one dictionary that may be a difference.

    f_np: their held-out activations.  strength_p: of each by itself.  joint_p: of each with those
    that fire with it.  exclusive_p: whether ridge probes find it in one model alone, on training
    text. duplicate_p: of these, the place of one of the other model that fires with it, or -1.
    rewritten_candidate_p: whether it may be rewritten (`rewriting.py`).  testable_p: whether
    nothing but the probes can rule it out.  scaling: None where the widths differ or the dictionary
    doesn't reconstruct the models.
    """

    index_p: NDArray[np.int64]
    owner_is_candidate_p: NDArray[np.bool_]
    f_np: SparseActivations
    ablation: Ablation
    strength_p: NDArray[np.float64]
    joint_p: NDArray[np.float64]
    exclusive_p: NDArray[np.bool_]
    duplicate_p: NDArray[np.int64]
    rewritten_candidate_p: NDArray[np.bool_]
    testable_p: NDArray[np.bool_]
    scaling: LatentScaling | None


class Innovations(NamedTuple):
    """What either model has and the other doesn't predict, and where a dictionary's features fire
    on the training pairs of `Pairs.thinned`.
    """

    model: Crosscoder
    active: ActiveFeatures
    device: torch.device

    def blocks(self, pairs: Pairs, side: Side, rows: NDArray[np.int64]) -> Iterator[Tensor]:
        """One pass over `rows`, in the units of the model's normalised vectors, shape (t, d)."""
        for _, x_a, x_b in pairs.blocks(rows, self.device):
            if side == "candidate":
                yield self.model.to_b.residual(x_a, x_b)
            else:
                yield self.model.to_a.residual(x_b, x_a)


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
        which = int(not self.owner_is_candidate_p[positions[0]])
        chosen = self.pairs.heldout()[rows]
        x_td = self.pairs.probe_vectors(chosen, *self.pairs.batch(chosen))[which]
        probe = self.probes[which]
        device = probe.linear.bias_p.device
        read_tp = probe.of(torch.tensor(positions, device=device))(x_td.to(device))
        return np.asarray(read_tp.cpu().numpy())


@torch.no_grad()
def measure_heldout(
    models: Sequence[Crosscoder],
    pairs: Pairs,
    screens: Sequence[ScreeningResult],
    distance: ModelDistance,
    settings: Settings,
    device: torch.device,
    run: Run = one_by_one,
) -> list[Heldout]:
    """Choose each dictionary's features whose exclusivity on training text is above the setting's,
    and between related models those of the exclusive parts that may be rewritten, and pass over the
    held-out pairs with them.  run: does what belongs to one dictionary, or to one model.
    """
    has_maps = models[0].config.architecture == "innovation"
    rewritten = settings.rewritten and distance.related and has_maps
    found = run(
        functools.partial(_candidates, *of, models[0], pairs, settings, device, rewritten=rewritten)
        for of in zip(models, screens, strict=True)
    )
    probes = _probes(found, screens, pairs, device, run, network=settings.probe == "mlp")
    sums = _probe_heldout(found, probes, pairs, device)
    made, start = [], 0
    for c, model, screened in zip(found, models, screens, strict=True):
        part = np.arange(start, start + len(c.index_p))
        norm_p, (from_a, from_b) = c.ablation.direction_norms(), probes
        at = torch.from_numpy(part).to(device)
        read_by = from_a.of(at), from_b.of(at)
        own = Innovations(model, screened.active, device) if has_maps else None
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


@torch.no_grad()  # which is so for each thread
def _candidates(
    model: Crosscoder,
    screened: ScreeningResult,
    whole: Crosscoder,
    pairs: Pairs,
    settings: Settings,
    device: torch.device,
    *,
    rewritten: bool,
) -> Candidates:
    """whole: has the shared features, which are in the first dictionary of a run."""
    own_is_b_m = model.owner_is_candidate().cpu().numpy()
    exclusive_m = screened.exclusivity(own_is_b_m) > settings.exclusivity
    in_exclusive_part_m = np.full(len(exclusive_m), fill_value=rewritten)
    in_exclusive_part_m[model.config.shared_slice] = False
    index_p = np.flatnonzero(exclusive_m | in_exclusive_part_m)
    chosen = torch.from_numpy(index_p).to(device)
    owner_p = torch.from_numpy(own_is_b_m[index_p]).to(device)
    ablation, rewriting_sums = (
        Ablation(model, chosen, owner_p),
        RewritingSums(model, signed=pairs.same_vocabulary),
    )
    alike = model.config.width_a == model.config.width_b
    scaled = alike and whole.config.reconstructs_models
    scaling = LatentScalingBuilder(model, chosen, owner_p) if scaled else None
    firing, group_n = SparseActivations(len(index_p)), pairs.group_n[pairs.heldout()]
    fires_gp = np.zeros((group_n.max() + 1, len(index_p)), dtype=bool)
    for _, x_a, x_b in pairs.blocks(pairs.heldout(), device):
        x = model.inputs(x_a, x_b)
        active = model.active(x)
        errors = reconstruction_errors(model, x, active)
        if not model.config.reconstructs_models and whole.config.reconstructs_models:
            of_models = reconstruction_errors(whole, x, whole.active(x))
            errors = errors._replace(a_ta=of_models.a_ta, b_tb=of_models.b_tb)
            del of_models
        if rewritten:
            rewriting_sums.add(active, x)
        active = active.select_features(chosen)
        ablation.add(active, x, errors)
        if scaling is not None:
            scaling.add(active, x, errors)
        done = firing.shape[0]
        entries = [of.cpu().numpy() for of in (active.token, active.feature, active.value)]
        firing.add(active.tokens, *entries)
        fires_gp[group_n[done + entries[0]], entries[1]] = True
        del x_a, x_b, x, active, errors, entries  # before the next block is read
    strength_p = ablation.strengths(own_is_b_m[index_p])
    joint_p = ablation.joint_strengths(own_is_b_m[index_p])
    unmapped_p = rewriting_sums.unmapped()[index_p]
    rewritten_candidate_p = in_exclusive_part_m[index_p] & (unmapped_p > settings.exclusivity)
    rewritten_candidate_p &= joint_p > settings.least_strength
    kept_p = np.flatnonzero(exclusive_m[index_p] | rewritten_candidate_p)
    index_p, rewritten_candidate_p = index_p[kept_p], rewritten_candidate_p[kept_p]
    strength_p, joint_p = strength_p[kept_p], joint_p[kept_p]
    ablation, firing = ablation.select_features(kept_p), firing.select_features(kept_p)
    owner_is_candidate_p, exclusive_p = own_is_b_m[index_p], exclusive_m[index_p]
    duplicate_p = clusters.duplicates(ablation.correlation(), owner_is_candidate_p, exclusive_p)
    enough_p = fires_gp[:, kept_p].sum(0) >= MIN_DOCUMENTS
    enough_p &= joint_p > settings.least_strength
    return Candidates(
        index_p,
        owner_is_candidate_p,
        firing,
        ablation,
        strength_p,
        joint_p,
        exclusive_p,
        duplicate_p,
        rewritten_candidate_p,
        enough_p & (exclusive_p & (duplicate_p < 0) | rewritten_candidate_p),
        scaling.ratios(kept_p) if scaling else None,
    )


def _probes(
    found: Sequence[Candidates],
    screens: Sequence[ScreeningResult],
    pairs: Pairs,
    device: torch.device,
    run: Run,
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
    wanted = torch.from_numpy(np.flatnonzero(np.concatenate([c.testable_p for c in found]))).to(
        device
    )
    if not network or not len(wanted):
        return Probe(linear[0], []), Probe(linear[1], [])
    testable_m = [torch.from_numpy(c.index_p[c.testable_p]).to(device) for c in found]
    y_nq = torch.cat([s.active.columns(of) for s, of in zip(screens, testable_m, strict=True)], 1)
    rows, _ = pairs.thinned()
    blocks = [pairs.probe_vectors(block, *x) for block, *x in pairs.blocks(rows, device)]
    left_out_n = fold_masks(y_nq, pairs.group_n[rows])[0]
    a, b = run(
        functools.partial(with_networks, of, wanted, torch.cat(x), y_nq, left_out_n)
        for of, x in zip(linear, zip(*blocks, strict=True), strict=True)
    )
    return a, b


def _probe_heldout(
    found: Sequence[Candidates], probes: tuple[Probe, Probe], pairs: Pairs, device: torch.device
) -> Sums:
    """Pass over the held-out pairs with the probes."""
    heldout = pairs.heldout()
    groups, group_n = np.unique(pairs.group_n[heldout], return_inverse=True)
    builder, done = SumsBuilder(len(groups), sum(len(c.index_p) for c in found)), 0
    for number, (block, *inputs) in enumerate(pairs.blocks(heldout, device)):
        x_a, x_b = pairs.probe_vectors(block, *inputs)
        f_tq = np.concatenate([c.f_np.block(number, np.arange(len(c.index_p))) for c in found], 1)
        where = torch.from_numpy(group_n[done : done + len(f_tq)])
        builder.add(where, torch.from_numpy(f_tq).to(device), probes[0](x_a), probes[1](x_b))
        done += len(f_tq)
    return builder.sums()
