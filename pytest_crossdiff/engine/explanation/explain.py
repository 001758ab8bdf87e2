"""What helps a person to understand the differences that were found; it decides nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from pytest_crossdiff.engine.explanation.accounting import (
    Positions,
    account,
    accounting,
    conversations,
)
from pytest_crossdiff.engine.explanation.contexts import HeldoutTokens
from pytest_crossdiff.engine.explanation.description import describe
from pytest_crossdiff.engine.explanation.effects import (
    DifferenceFeatures,
    measure,
    prediction_effects,
)
from pytest_crossdiff.engine.models.loaded import load_configured
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_crossdiff.engine.activations.pairs import Pairs, SideActivations
    from pytest_crossdiff.engine.explanation.effects import MeasuredEffect
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.engine.verification.verify import Verification
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.accounting import Accounting
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.sides import Side

STRONGEST = 10
"""Differences of a side whose effect is measured."""


def explain(
    differences: Sequence[Difference],
    verified: Sequence[Verification],
    pairs: Pairs,
    plan: Plan,
    progress: Progress,
) -> tuple[tuple[Difference, ...], Accounting | None]:
    """`differences` with their descriptions and, where the settings want them, their effects and
    what both models say there; and how much of the change of the output they account for, None
    where the predictions were not compared.
    """
    explained: list[Difference] = []
    positions = Positions.stored(plan) if plan.settings.metrics else None
    covered = []
    if positions is not None:
        group_m = conversations(positions, plan.sample.pieces, plan.piece_groups())
    parts = [document.part for document in plan.corpus.documents]
    for side in SIDES:
        of_side = [d for d in differences if d.side == side]
        owner = pairs.b if side == "candidate" else pairs.a
        difference_features = [_difference_features(d, verified) for d in of_side]
        rows_n = owner.rows_n[pairs.heldout()]
        heldout_tokens = HeldoutTokens.of(
            owner.harvest, rows_n, plan.sample.pieces, plan.corpus.documents
        )
        found = describe(heldout_tokens, parts, [a.size_n for a in difference_features])
        of_side = [
            dataclasses.replace(d, description=description)
            for d, description in zip(of_side, found, strict=True)
        ]
        if positions is not None:
            sizes = [a.size_n for a in difference_features]
            of_side, covered_m = account(
                of_side, sizes, owner, rows_n, heldout_tokens, positions, group_m
            )
            covered.append(covered_m)
        if owner.harvest.words and of_side:
            # whatever the settings say of effects: patterns are looked for in these words
            both = pairs.vocabularies
            words = owner.harvest.vocabulary.words if both is None else both.words
            of_side = _with_effects_added(
                of_side, prediction_effects(words, owner, difference_features)
            )
        elif plan.settings.effect and of_side:
            try:
                of_side = _with_effects(
                    of_side, difference_features, owner, side, pairs, plan, progress
                )
            except Exception as error:  # noqa: BLE001  an explanation is no reason to fail
                what = str(error).partition("\n")[0]
                progress.note(f"effects in the {side} not measured: {type(error).__name__}: {what}")
        explained += of_side
    accounted = None
    if positions is not None:
        covered_m = np.any(covered, axis=0)
        accounted = accounting(positions, covered_m, plan.sample.pieces, plan.corpus.documents)
    return tuple(explained), accounted


def _difference_features(
    difference: Difference, verified: Sequence[Verification]
) -> DifferenceFeatures:
    """The features of `difference` in the dictionary in which they are strongest together."""
    positions = [
        [p for p, feature in enumerate(v.features) if feature.id in difference.features]
        for v in verified
    ]
    strengths = [
        v.held.ablation.strength(of_v, difference.side)
        for v, of_v in zip(verified, positions, strict=True)
    ]
    best = int(np.argmax(strengths))
    held = verified[best].held
    return DifferenceFeatures(
        held.f_np[:, positions[best]], held.ablation.directions(positions[best])
    )


def _with_effects(
    differences: Sequence[Difference],
    difference_features: Sequence[DifferenceFeatures],
    owner: SideActivations,
    side: Side,
    pairs: Pairs,
    plan: Plan,
    progress: Progress,
) -> list[Difference]:
    model = load_configured(plan.settings, side, plan.references[side], with_head=True)
    try:
        found = measure(
            model,
            owner,
            pairs.heldout(),
            plan.sample.pieces,
            difference_features[:STRONGEST],
            chat_template=plan.settings.chat_template,
            label=side,
            progress=progress,
        )
        model.reference.must_be_unchanged()
    finally:
        model.unload()
    return _with_effects_added(differences, found)


def _with_effects_added(
    differences: Sequence[Difference], found: Sequence[MeasuredEffect]
) -> list[Difference]:
    """The differences with what was found of the first of them."""
    measured = [
        dataclasses.replace(
            d,
            effect=f.effect,
            description=dataclasses.replace(
                d.description, promoted=f.promoted, suppressed=f.suppressed
            ),
        )
        for d, f in zip(differences, found, strict=False)
    ]
    return [*measured, *differences[len(measured) :]]
