"""Each difference as a person reads it: its numbers, its tokens and the texts where it fires.

Axes: n held-out pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pytest_crossdiff.engine.explanation.contexts import (
    HeldoutTokens,
    clear_firing,
    contexts,
    firing,
    token_counts,
)
from pytest_crossdiff.results.difference import Description, Difference
from pytest_crossdiff.results.recurrence import majority
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.corpus.documents import Document
    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.engine.verification.grouping import Group
    from pytest_crossdiff.engine.verification.heldout import Heldout
    from pytest_crossdiff.engine.verification.verify import Verification
    from pytest_crossdiff.results.difference import Feature, Kind
    from pytest_crossdiff.sides import Side

BINS = 20
"""Of a difference's histogram."""


def find(
    grouped: Mapping[Side, Sequence[Group]],
    verified: Sequence[Verification],
    pairs: Pairs,
    pieces: Sequence[Piece],
    documents: Sequence[Document],
) -> tuple[Difference, ...]:
    """The differences that the groups of either side are, the baseline's first; of each side the
    confirmed, strongest first, and then the possible ones.
    """
    heldout = pairs.heldout()
    found: list[Difference] = []
    for side in SIDES:
        owner = pairs.b if side == "candidate" else pairs.a
        heldout_tokens = HeldoutTokens.of(owner.harvest, owner.rows_n[heldout], pieces, documents)
        made = [
            _difference(group, verified, side, heldout_tokens, pairs.group_n[heldout])
            for group in grouped[side]
        ]
        made.sort(key=lambda d: (not d.confirmed, -d.strength))
        found += (d.with_id(f"{side[0].upper()}{i + 1}") for i, d in enumerate(made))
    return tuple(found)


def _difference(
    group: Group,
    verified: Sequence[Verification],
    side: Side,
    heldout_tokens: HeldoutTokens,
    group_n: NDArray[np.int32],
) -> Difference:
    of = group.strengths
    clearest = max(of, key=lambda i: of[i])
    held, part = verified[clearest].held, group.of(clearest)
    unit_p = _units(held, part, side)
    activation_n = (held.f_np[:, part] * unit_p).sum(1)
    fires_n = clear_firing(activation_n) > 0
    features: list[Feature] = [verified[m.dictionary].features[m.position] for m in group.members]
    seeds = tuple(sorted({f.seed for f in features}))
    exclusive = {f.seed for f in features if f.kind == "exclusive"}
    kind: Kind = "exclusive" if majority(len(exclusive), len(seeds)) else "rewritten"
    at = max(range(len(features)), key=lambda i: (features[i].kind == kind, features[i].strength))
    best, where = features[at], group.members[at]
    scaling = verified[where.dictionary].scaling
    ratios = (
        ()
        if scaling is None
        else (scaling.error_p[where.position], scaling.reconstruction_p[where.position])
    )
    peak = float(activation_n.max())
    return Difference(
        id="",
        side=side,
        kind=kind,
        certainty="possible" if group.doubt else "confirmed",
        doubt=group.doubt,
        seeds=seeds,
        features=tuple(f.id for f in features),
        exclusivity=best.exclusivity,
        exclusivity_low=best.exclusivity_low,
        exclusivity_high=best.exclusivity_high,
        p_value=best.p_value,
        r2_own=best.r2_own,
        r2_own_low=best.r2_own_low,
        r2_other=best.r2_other,
        strength=group.strength,
        strength_low=min(of.values()),
        strength_high=max(of.values()),
        density=float(fires_n.mean()),
        peak=peak,
        documents=len(np.unique(group_n[fires_n])),
        tokens=token_counts(heldout_tokens, activation_n),
        contexts=contexts(
            heldout_tokens, activation_n, lambda rows: held.other(part, rows) @ unit_p
        ),
        histogram=tuple(
            np.histogram(activation_n[activation_n > 0], BINS, (0.0, max(peak, 1e-9)))[0].tolist()
        ),
        firing=firing(heldout_tokens, _mean_activation(group, verified, side)),
        description=Description(),
        latent_scaling=tuple(map(float, ratios)) if np.isfinite(ratios).all() else (),
    )


def _mean_activation(
    group: Group, verified: Sequence[Verification], side: Side
) -> NDArray[np.float32]:
    """Its activation on average over the dictionaries that have it: what another training's
    dictionaries find on average is more like it than like any single one.
    """
    activations = []
    for i in group.strengths:
        held, part = verified[i].held, group.of(i)
        activations.append(held.f_np[:, part] @ _units(held, part, side))
    joint_n: NDArray[np.float32] = np.mean(activations, axis=0, dtype=np.float32)
    return joint_n


def _units(held: Heldout, part: list[int], side: Side) -> NDArray[np.float64]:
    """The activation 1 of each feature in units of the owner's root-mean-square norm."""
    return held.norm_p[part] / held.ablation.norm(side)
