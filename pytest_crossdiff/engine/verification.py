"""From a trained crosscoder to verified features: screen, test, measure (METHOD 3 and 4).

Every feature is screened on the training documents, whatever its place in the dictionary: a feature
of the shared part can come to stand for what only one model has.  What passes is tested on the
held-out documents, which neither dictionary nor probes have seen; so few are tested, and the
correction for many tests costs little.

Axes: n held-out pairs, t pairs of a block, m features, p candidates for a difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytest_crossdiff.engine import clusters
from pytest_crossdiff.engine.exclusivity import (
    MIN_DOCUMENTS,
    Tally,
    benjamini_hochberg,
    exclusivity,
    screen,
)
from pytest_crossdiff.engine.latent_scaling import latent_scaling
from pytest_crossdiff.engine.probes import Mlp, fit_mlps
from pytest_crossdiff.engine.ridge import LinearMap
from pytest_crossdiff.engine.strength import Ablation
from pytest_crossdiff.result import SIDES, Feature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations import Pairs
    from pytest_crossdiff.engine.crosscoder import Crosscoder
    from pytest_crossdiff.engine.exclusivity import Exclusivity, Screen
    from pytest_crossdiff.engine.latent_scaling import LatentScaling
    from pytest_crossdiff.options import Settings
    from pytest_crossdiff.progress import Phase
    from pytest_crossdiff.result import Side


class Heldout(NamedTuple):
    """The candidate features on the held-out pairs: f_np their activations, other_np what the other
    model predicts of them, norm_p the length of their directions in their own model.
    """

    index_p: NDArray[np.int64]
    own_is_b_p: NDArray[np.bool_]
    norm_p: NDArray[np.float64]
    f_np: NDArray[np.float32]
    other_np: NDArray[np.float32]
    ablation: Ablation
    tally: Tally


class Verified(NamedTuple):
    """What the held-out documents say of one dictionary.

    scaling: latent scaling of each feature, None where the widths differ or nothing is verified.
    """

    held: Heldout
    features: Sequence[Feature]
    scaling: LatentScaling | None

    def positions(self, side: Side, *, undecided: bool = False) -> list[int]:
        """The verified (or undecided) features of `side`."""
        return [
            p
            for p, f in enumerate(self.features)
            if f.side == side and (f.undecided if undecided else f.verified)
        ]


@torch.no_grad()
def verify(
    model: Crosscoder, seed: int, pairs: Pairs, settings: Settings, device: torch.device, bar: Phase
) -> Verified:
    """Find the features of one dictionary that only one model has, and test them."""
    screened = screen(pairs, model, device)
    bar.advance(len(pairs.training()))
    held = measure(
        model, pairs, screened, settings.exclusivity, device, network=settings.probe == "mlp"
    )
    bar.advance(len(pairs.heldout()))
    features = judge(held, seed, settings)
    scaling = None
    if model.config.width_a == model.config.width_b and any(f.verified for f in features):
        scaling = latent_scaling(model, pairs, held.index_p, held.own_is_b_p, device)
    return Verified(held, features, scaling)


def measure(
    model: Crosscoder,
    pairs: Pairs,
    screened: Screen,
    least: float,
    device: torch.device,
    *,
    network: bool = False,
) -> Heldout:
    """Choose the features whose exclusivity on training text is above `least` and pass over the
    held-out pairs with them.

    network: read them by a small network too, where it predicts better than the ridge probe.
    """
    own_is_b_m = model.owner_is_candidate().cpu().numpy()
    index_p = np.flatnonzero(screened.exclusivity(own_is_b_m) > least)
    chosen, own_is_b_p = torch.from_numpy(index_p).to(device), own_is_b_m[index_p]
    probes = _probes(model, pairs, screened, chosen, device, network=network)
    heldout = pairs.heldout()
    groups, group_n = np.unique(pairs.group_n[heldout], return_inverse=True)
    tally = Tally(len(groups), len(index_p))
    owner = torch.from_numpy(own_is_b_p).to(device)
    ablation = Ablation(model, chosen, owner)
    kept, other, done = [], [], 0
    for _, x_a, x_b in pairs.blocks(heldout, device):
        f_tm = model.encode(x_a, x_b)
        f_tp = f_tm[:, chosen]
        x = model.inputs(x_a, x_b)
        ablation.add(f_tp, x, model.errors(f_tm, x))
        where = torch.from_numpy(group_n[done : done + len(f_tp)])
        from_a, from_b = probes[0](x_a), probes[1](x_b)
        tally.add(where, f_tp, from_a, from_b)
        kept.append(f_tp.cpu())
        other.append(torch.where(owner, from_a, from_b).cpu())
        done += len(f_tp)
    norm_p = ablation.direction_norms()
    f_np, other_np = torch.cat(kept).numpy(), torch.cat(other).numpy()
    return Heldout(index_p, own_is_b_p, norm_p, f_np, other_np, ablation, tally)


def _probes(
    model: Crosscoder,
    pairs: Pairs,
    screened: Screen,
    chosen: Tensor,
    device: torch.device,
    *,
    network: bool,
) -> tuple[LinearMap, LinearMap] | tuple[Mlp, Mlp]:
    """What reads the chosen features from the baseline and from the candidate."""
    ridge_a, ridge_b = (
        LinearMap(p.weight_dp[:, chosen], p.bias_p[chosen])
        for p in (screened.from_a, screened.from_b)
    )
    if not network or not len(chosen):
        return ridge_a, ridge_b
    with torch.enable_grad():
        return fit_mlps(
            pairs, lambda x_a, x_b: model.encode(x_a, x_b)[:, chosen], (ridge_a, ridge_b), device
        )


def judge(held: Heldout, seed: int, settings: Settings) -> list[Feature]:
    """The verdict on every candidate, in the order of `held.index_p`."""
    found = exclusivity(
        held.tally.sums(), held.own_is_b_p, threshold=settings.exclusivity, draws=settings.bootstrap
    )
    testable = (found.documents >= MIN_DOCUMENTS) & (found.r2_own >= settings.min_r2)
    significant = np.zeros(len(testable), dtype=bool)
    significant[testable] = benjamini_hochberg(found.p_value[testable], settings.fdr)
    partner = clusters.duplicates(correlation(held.f_np), held.own_is_b_p)
    sides: list[Side] = ["candidate" if is_b else "baseline" for is_b in held.own_is_b_p]
    features = []
    for p, index in enumerate(held.index_p.tolist()):
        side = sides[p]
        strength = held.ablation.strength([p], side)
        exclusive = bool(significant[p]) and found.low[p] > settings.exclusivity
        rejected, undecided = _doubt(found, p, settings), False
        if not rejected and strength <= 0.0:
            rejected = "nothing goes unexplained without it"
        elif not rejected and partner[p] >= 0:
            other = SIDES[side == "baseline"]
            rejected = f"the {other} has it as feature {held.index_p[partner[p]]}"
        elif not rejected and not exclusive:
            other = SIDES[side == "baseline"]
            rejected = f"the {other} predicts it too: R² {found.r2_other[p]:.2f}"
            undecided = bool(found.estimate[p] > settings.exclusivity)
        peak = float(held.f_np[:, p].max(initial=0.0) * held.norm_p[p] / held.ablation.norm(side))
        features.append(
            Feature(
                seed=seed,
                index=index,
                side=side,
                exclusivity=float(found.estimate[p]),
                exclusivity_low=float(found.low[p]),
                exclusivity_high=float(found.high[p]),
                p_value=float(found.p_value[p]),
                r2_own=float(found.r2_own[p]),
                r2_other=float(found.r2_other[p]),
                strength=strength,
                density=float((held.f_np[:, p] > 0).mean()),
                peak=peak,
                documents=int(found.documents[p]),
                rejected=rejected,
                undecided=undecided,
            )
        )
    return features


def _doubt(found: Exclusivity, p: int, settings: Settings) -> str:
    """Why feature p can't be tested, "" where it can."""
    if found.documents[p] < MIN_DOCUMENTS:
        return f"fires in {found.documents[p]} held-out documents, {MIN_DOCUMENTS} are needed"
    if found.r2_own[p] < settings.min_r2:
        return f"its own model predicts it no better than R² {found.r2_own[p]:.2f}"
    return ""


def correlation(f_np: NDArray[np.float32]) -> NDArray[np.float64]:
    """Correlation of activations over the pairs, shape (p, p); 0 for a feature that never fires."""
    centred = f_np - f_np.mean(0)
    deviation = np.maximum(np.linalg.norm(centred, axis=0), 1e-12)
    return np.asarray((centred.T @ centred) / np.outer(deviation, deviation), dtype=np.float64)
