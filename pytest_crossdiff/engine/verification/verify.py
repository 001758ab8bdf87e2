"""From a trained crosscoder to verified features: screen, test, measure (METHOD 3 and 4).

Every feature is screened on the training documents, whatever its place in the dictionary: a feature
of the shared part can come to stand for what only one model has.  What passes is tested on the
held-out documents, which neither dictionary nor probes have seen; so few are tested, and the
correction for many tests costs little.

Axes: n held-out pairs, t pairs of a block, m features, p candidates for a difference.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytest_crossdiff.engine.dictionary.side_by_side import is_small, side_by_side
from pytest_crossdiff.engine.models.devices import give_back_free_memory
from pytest_crossdiff.engine.verification.exclusivity import (
    MIN_DOCUMENTS,
    benjamini_hochberg,
    exclusivity,
    probe_inputs,
    screen,
)
from pytest_crossdiff.engine.verification.heldout import measure_heldout
from pytest_crossdiff.engine.verification.model_distance import model_distance
from pytest_crossdiff.results.difference import Feature
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder
    from pytest_crossdiff.engine.sparse.firing import SparseActivations
    from pytest_crossdiff.engine.verification.exclusivity import Exclusivity
    from pytest_crossdiff.engine.verification.heldout import Heldout
    from pytest_crossdiff.engine.verification.latent_scaling import LatentScaling
    from pytest_crossdiff.engine.verification.model_distance import ModelDistance
    from pytest_crossdiff.progress import Phase
    from pytest_crossdiff.results.difference import Kind
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side


class Verification(NamedTuple):
    """What the held-out documents say of one dictionary.

    scaling: latent scaling of each feature, see `Candidates`.  distance: of the two models.
    """

    held: Heldout
    features: Sequence[Feature]
    scaling: LatentScaling | None
    distance: ModelDistance

    def positions(self, side: Side, *, undecided: bool = False) -> list[int]:
        """The verified (or undecided) features of `side`."""
        return [
            p
            for p, f in enumerate(self.features)
            if f.side == side and (f.undecided if undecided else f.verified)
        ]


@torch.no_grad()
def verify(
    models: Sequence[Crosscoder],
    seeds: Sequence[int],
    pairs: Pairs,
    settings: Settings,
    device: torch.device,
    bar: Phase,
) -> list[Verification]:
    """Find the features of each dictionary that only one model has, and test them."""
    inputs, training = probe_inputs(pairs, device), len(pairs.training())
    distance = model_distance(models[0], pairs, settings)
    at_once = max(2, len(models)) if all(is_small(model.config) for model in models) else 1
    with side_by_side(at_once, device) as run:
        screens = run(
            (
                functools.partial(screen, pairs, model, device, inputs, settings.exclusivity)
                for model in models
            ),
            lambda: bar.advance(training),
        )
        give_back_free_memory()
        helds = measure_heldout(models, pairs, screens, distance, settings, device, run)
    made = []
    for seed, held in zip(seeds, helds, strict=True):
        made.append(
            Verification(
                held, classify_features(held, distance, seed, settings), held.scaling, distance
            )
        )
        bar.advance(len(pairs.heldout()))
    return made


def classify_features(
    held: Heldout, distance: ModelDistance, seed: int, settings: Settings
) -> list[Feature]:
    """The verdict on every candidate, in the order of `held.index_p`."""
    least_p = distance.thresholds(held.owner_is_candidate_p)
    found = exclusivity(
        held.sums,
        held.owner_is_candidate_p,
        threshold=least_p,
        draws=settings.bootstrap,
        with_interval_p=held.testable_p,
    )
    testable = held.testable_p & held.exclusive_p & (found.r2_own >= settings.min_r2)
    significant = np.zeros(len(testable), dtype=bool)
    significant[testable] = benjamini_hochberg(found.p_value[testable], settings.fdr)
    sides: list[Side] = ["candidate" if is_b else "baseline" for is_b in held.owner_is_candidate_p]
    features = []
    for p, index in enumerate(held.index_p.tolist()):
        side = sides[p]
        other = SIDES[side == "baseline"]
        kind: Kind = "exclusive"
        exclusive = bool(significant[p]) and found.low[p] > least_p[p]
        rejected, undecided = _untestable_reason(found, p, settings), False
        if not rejected and held.joint_p[p] <= settings.least_strength:
            rejected = (
                "weaker than crossdiff_min_strength, together with the features that fire with it"
            )
        elif not rejected and held.duplicate_p[p] >= 0:
            rejected = f"duplicate of feature {held.index_p[held.duplicate_p[p]]} of the {other}"
        elif not rejected and not exclusive:
            rejected = f"the {other} predicts it too: R² {found.r2_other[p]:.2f}"
            undecided = bool(held.exclusive_p[p] and found.estimate[p] > settings.exclusivity)
        if rejected and held.rewritten_candidate_p[p] and held.testable_p[p]:
            if found.r2_own_low[p] >= settings.min_r2:
                kind, rejected, undecided = "rewritten", "", False
            elif found.r2_own[p] >= settings.min_r2 and not undecided:
                kind, undecided = "rewritten", True
        peak = float(held.f_np.peak_p[p] * held.norm_p[p] / held.ablation.norm(side))
        features.append(
            Feature(
                seed=seed,
                index=index,
                side=side,
                kind=kind,
                exclusivity=float(found.estimate[p]),
                exclusivity_low=float(found.low[p]),
                exclusivity_high=float(found.high[p]),
                p_value=float(found.p_value[p]),
                r2_own=float(found.r2_own[p]),
                r2_own_low=float(found.r2_own_low[p]),
                r2_other=float(found.r2_other[p]),
                strength=float(held.strength_p[p]),
                density=float(held.f_np.count_p[p] / held.f_np.shape[0]),
                peak=peak,
                documents=int(found.documents[p]),
                rejected=rejected,
                undecided=undecided,
            )
        )
    return _drop_double_counts(features, held.f_np)


def _drop_double_counts(features: list[Feature], firing: SparseActivations) -> list[Feature]:
    """The same, but of what both models are found to write on the same places only one counts: what
    is exclusive, or else the stronger.
    """
    found = sorted(
        (p for p, f in enumerate(features) if f.verified),
        key=lambda p: (features[p].kind == "rewritten", -features[p].strength),
    )
    places = {side: np.zeros(firing.shape[0], dtype=bool) for side in SIDES}
    for p in found:
        side = features[p].side
        other, f_n = SIDES[side == "baseline"], firing[:, p]
        if features[p].kind == "rewritten" and f_n[places[other]].sum() > f_n.sum() / 2:
            rejected = f"fires where differences of the {other} fire"
            features[p] = dataclasses.replace(features[p], rejected=rejected)
        else:
            places[side] |= f_n > 0
    return features


def _untestable_reason(found: Exclusivity, p: int, settings: Settings) -> str:
    """Why feature p can't be tested, "" where it can."""
    if found.documents[p] < MIN_DOCUMENTS:
        return f"fires in {found.documents[p]} held-out documents, {MIN_DOCUMENTS} are needed"
    if found.r2_own[p] < settings.min_r2:
        return f"its own model predicts it no better than R² {found.r2_own[p]:.2f}"
    return ""
