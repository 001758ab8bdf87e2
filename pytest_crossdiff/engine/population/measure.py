"""The readings of a planned pair and of its references, and the verdict over them."""

from __future__ import annotations

import dataclasses
import json
import time
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.metrics.heads import UncomparableError
from pytest_crossdiff.engine.metrics.measure import chosen_pieces
from pytest_crossdiff.engine.population.compare import Candidates, HeldOutTexts, compare
from pytest_crossdiff.engine.population.observing import observe_reference, observe_side
from pytest_crossdiff.engine.population.sources import POPULATION, population_key
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.engine.population.readings import Observed
    from pytest_crossdiff.engine.population.sources import Member
    from pytest_crossdiff.progress import Progress


def measure(plan: Plan, references: Sequence[Member], progress: Progress) -> None:
    """Fill the entry of the plan's population, which is locked and open.

    Raises `ModelError` and `ActivationError` where a model can't be read, and `InsufficientData`
    where the models can't be judged.
    """
    began = time.perf_counter()
    pair = {side: observe_side(plan, side, progress) for side in SIDES}
    found = compare(
        pair, _references(plan, references, progress), held_out_texts(plan), plan.settings.fdr
    )
    entry = plan.store.entry("population", population_key(plan, tuple(references)))
    entry.write(POPULATION, json.dumps(dataclasses.asdict(found), allow_nan=False).encode())
    keys = [member.key for member in references]
    entry.complete({"readings": keys, "seconds": time.perf_counter() - began})


def held_out_texts(plan: Plan) -> HeldOutTexts:
    """The pieces that are read, as the verdict sees them."""
    pieces, groups = chosen_pieces(plan), plan.piece_groups()
    return HeldOutTexts(
        {number: piece.shared_text for number, piece in pieces.items()},
        {number: groups[number] for number in pieces},
        {number: plan.corpus.documents[piece.document].part for number, piece in pieces.items()},
    )


def _references(plan: Plan, references: Sequence[Member], progress: Progress) -> Candidates:
    own = {plan.references[side].digest: f"it is the {side} itself" for side in SIDES}
    observed: dict[str, Observed] = {}
    left_out: dict[str, str] = {}
    first: dict[str, str] = {}
    for member in references:
        if member.digest in own or member.digest in first or member.name in observed:
            twin = first.get(member.digest, member.name)
            left_out[member.name] = own.get(member.digest, f"it is the same model as {twin}")
            continue
        first[member.digest] = member.name
        try:
            observed[member.name] = observe_reference(plan, member, progress)
        except UncomparableError as error:
            left_out[member.name] = error.what
    return Candidates(observed, left_out)
