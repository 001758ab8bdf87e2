"""From a trained crosscoder to differences: screen, test, cluster, measure, show (METHOD 3 and 4).

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
from pytest_crossdiff.engine.contexts import Places, contexts, token_counts
from pytest_crossdiff.engine.exclusivity import (
    MIN_DOCUMENTS,
    Tally,
    benjamini_hochberg,
    exclusivity,
    screen,
)
from pytest_crossdiff.engine.ridge import LinearMap
from pytest_crossdiff.engine.strength import Ablation
from pytest_crossdiff.result import SIDES, Description, Difference, Feature

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations import Pairs
    from pytest_crossdiff.engine.corpus import Document
    from pytest_crossdiff.engine.crosscoder import Crosscoder
    from pytest_crossdiff.engine.exclusivity import Screen
    from pytest_crossdiff.engine.sampling import Piece
    from pytest_crossdiff.options import Settings
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.result import Side


class Verified(NamedTuple):
    """What the held-out documents say; pairs of numbers are baseline, candidate."""

    features: tuple[Feature, ...]
    differences: tuple[Difference, ...]
    fve: tuple[float, float]
    total_strength: tuple[float, float]


class Heldout(NamedTuple):
    """The candidate features on the held-out pairs: f_np their activations, norm_p the length of
    their directions in their own model.
    """

    index_p: NDArray[np.int64]
    own_is_b_p: NDArray[np.bool_]
    norm_p: NDArray[np.float64]
    f_np: NDArray[np.float32]
    ablation: Ablation
    tally: Tally


@torch.no_grad()
def verify(
    model: Crosscoder,
    pairs: Pairs,
    pieces: Sequence[Piece],
    documents: Sequence[Document],
    settings: Settings,
    device: torch.device,
    progress: Progress,
) -> Verified:
    """Find the features that only one model has, test them, and describe those that pass."""
    with progress.phase("verify features", len(pairs.group_n), "token") as bar:
        screened = screen(pairs, model, device)
        bar.advance(len(pairs.training()))
        held = measure(model, pairs, screened, settings.exclusivity, device)
        bar.advance(len(pairs.heldout()))
    features = judge(held, settings)
    totals = [
        held.ablation.strength(
            [p for p, f in enumerate(features) if f.verified and f.side == side], side
        )
        for side in SIDES
    ]
    found = _differences(held, features, pairs, pieces, documents)
    return Verified(tuple(features), found, held.ablation.fve(), (totals[0], totals[1]))


def measure(
    model: Crosscoder, pairs: Pairs, screened: Screen, least: float, device: torch.device
) -> Heldout:
    """Choose the features whose exclusivity on training text is above `least` and pass over the
    held-out pairs with them.
    """
    own_is_b_m = model.owner_is_candidate().cpu().numpy()
    index_p = np.flatnonzero(screened.exclusivity(own_is_b_m) > least)
    chosen = torch.from_numpy(index_p).to(device)
    probes = [LinearMap(p.weight_dp[:, chosen], p.bias_p[chosen]) for p in screened[:2]]
    heldout = pairs.heldout()
    groups, group_n = np.unique(pairs.group_n[heldout], return_inverse=True)
    tally = Tally(len(groups), len(index_p))
    ablation = Ablation(model, chosen, torch.from_numpy(own_is_b_m[index_p]).to(device))
    kept, done = [], 0
    for _, x_a, x_b in pairs.blocks(heldout, device):
        f_tm = model.encode(x_a, x_b)
        f_tp = f_tm[:, chosen]
        x = model.inputs(x_a, x_b)
        ablation.add(f_tp, x, model.errors(f_tm, x))
        where = torch.from_numpy(group_n[done : done + len(f_tp)])
        tally.add(where, f_tp, probes[0](x_a), probes[1](x_b))
        kept.append(f_tp.cpu())
        done += len(f_tp)
    norm_p = ablation.direction_norms()
    return Heldout(index_p, own_is_b_m[index_p], norm_p, torch.cat(kept).numpy(), ablation, tally)


def judge(held: Heldout, settings: Settings) -> list[Feature]:
    """The verdict on every candidate, in the order of `held.index_p`."""
    found = exclusivity(
        held.tally.sums(), held.own_is_b_p, threshold=settings.exclusivity, draws=settings.bootstrap
    )
    testable = (found.documents >= MIN_DOCUMENTS) & (found.r2_own >= settings.min_r2)
    significant = np.zeros(len(testable), dtype=bool)
    significant[testable] = benjamini_hochberg(found.p_value[testable], settings.fdr)
    partner = clusters.duplicates(correlation(held.f_np), held.own_is_b_p)
    sides: list[Side] = ["candidate" if is_b else "baseline" for is_b in held.own_is_b_p]
    strength = [held.ablation.strength([p], side) for p, side in enumerate(sides)]
    features = []
    for p, index in enumerate(held.index_p.tolist()):
        side = sides[p]
        other = SIDES[side == "baseline"]
        rejected = ""
        if found.documents[p] < MIN_DOCUMENTS:
            rejected = (
                f"fires in {found.documents[p]} held-out documents, {MIN_DOCUMENTS} are needed"
            )
        elif found.r2_own[p] < settings.min_r2:
            rejected = f"its own model predicts it no better than R² {found.r2_own[p]:.2f}"
        elif not (significant[p] and found.low[p] > settings.exclusivity):
            rejected = f"the {other} predicts it too: R² {found.r2_other[p]:.2f}"
        elif strength[p] <= 0.0:
            rejected = "nothing goes unexplained without it"
        elif partner[p] >= 0:
            rejected = f"the {other} has it as feature {held.index_p[partner[p]]}"
        peak = float(held.f_np[:, p].max(initial=0.0) * held.norm_p[p] / held.ablation.norm(side))
        features.append(
            Feature(
                seed=settings.seed,
                index=index,
                side=side,
                exclusivity=float(found.estimate[p]),
                exclusivity_low=float(found.low[p]),
                exclusivity_high=float(found.high[p]),
                p_value=float(found.p_value[p]),
                r2_own=float(found.r2_own[p]),
                r2_other=float(found.r2_other[p]),
                strength=strength[p],
                density=float((held.f_np[:, p] > 0).mean()),
                peak=peak,
                documents=int(found.documents[p]),
                rejected=rejected,
                undecided=False,
            )
        )
    return features


def correlation(f_np: NDArray[np.float32]) -> NDArray[np.float64]:
    """Correlation of activations over the pairs, shape (p, p); 0 for a feature that never fires."""
    centred = f_np - f_np.mean(0)
    deviation = np.maximum(np.linalg.norm(centred, axis=0), 1e-12)
    return np.asarray((centred.T @ centred) / np.outer(deviation, deviation), dtype=np.float64)


def _differences(
    held: Heldout,
    features: Sequence[Feature],
    pairs: Pairs,
    pieces: Sequence[Piece],
    documents: Sequence[Document],
) -> tuple[Difference, ...]:
    """Clusters of verified features, strongest first, baseline's before the candidate's."""
    found = []
    for side in SIDES:
        members = [p for p, f in enumerate(features) if f.verified and f.side == side]
        f_nq = held.f_np[:, members]
        fires_nq = (f_nq > 0).astype(np.float32)
        groups = clusters.cluster(correlation(f_nq), (fires_nq.T @ fires_nq).astype(np.float64))
        parts = [[members[q] for q in group] for group in groups]
        parts.sort(key=lambda part: -held.ablation.strength(part, side))
        owner = pairs.b if side == "candidate" else pairs.a
        heldout = pairs.heldout()
        places = Places.of(owner.harvest, owner.rows_n[heldout], pieces, documents)
        unit = held.ablation.norm(side)
        together = [(held.f_np[:, part] * held.norm_p[part]).sum(1) / unit for part in parts]
        tokens = token_counts(places, together)
        for number, (part, activation_n) in enumerate(zip(parts, together, strict=True)):
            best = max((features[p] for p in part), key=lambda f: f.strength)
            fires_n = activation_n > 0
            found.append(
                Difference(
                    id=f"{side[0].upper()}{number + 1}",
                    side=side,
                    certainty="confirmed",
                    doubt="",
                    seeds=(features[part[0]].seed,),
                    features=tuple(features[p].id for p in part),
                    exclusivity=best.exclusivity,
                    exclusivity_low=best.exclusivity_low,
                    exclusivity_high=best.exclusivity_high,
                    p_value=best.p_value,
                    r2_own=best.r2_own,
                    r2_other=best.r2_other,
                    strength=held.ablation.strength(part, side),
                    strength_low=held.ablation.strength(part, side),
                    strength_high=held.ablation.strength(part, side),
                    density=float(fires_n.mean()),
                    peak=float(activation_n.max()),
                    documents=len(np.unique(pairs.group_n[heldout][fires_n])),
                    tokens=tokens[number],
                    contexts=contexts(places, activation_n),
                    histogram=(),
                    firing=(),
                    description=Description(),
                )
            )
    return tuple(found)
