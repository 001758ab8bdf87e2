"""What the references of a run cost, before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.engine.estimate import READ_FACTOR, loading, predicted
from pytest_crossdiff.engine.metrics.measure import chosen_pieces
from pytest_crossdiff.engine.models.skeletons import inspect_model
from pytest_crossdiff.engine.population.sources import members, reading_entry, writing_entry
from pytest_crossdiff.engine.population.writing import TOKENS, beginnings
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.store.cache import Entry

WRITE_FACTOR = 2.0
"""Time over the bare products of a token that is written: 1.8 for 60 texts of SmolLM2-135M at once,
2.2 for 200."""


class ReferencesCost(NamedTuple):
    """How many references there are, of how many the cache has not all that is needed yet, and the
    seconds that it takes to read those and to let them write, which is done once; pair: the seconds
    in which baseline and candidate write.
    """

    named: int
    unread: int
    seconds: float
    pair: float


def references_cost(plan: Plan, rate: float) -> ReferencesCost:
    """What the references of a run cost; rate: multiply-adds a second.

    Raises `ModelError` and `SettingsError` as `members`.
    """
    found = members(plan)
    read, written = READ_FACTOR * predicted(plan), 0.0
    if plan.settings.reference_writing:
        written = WRITE_FACTOR * TOKENS * len(beginnings(chosen_pieces(plan).values()))

    def seconds(of: ModelReference, reading: Entry | None) -> float:
        """Of what the cache lacks of one model; reading: None where that is read anyway."""
        tokens = 0.0
        if reading is not None and reading.read_manifest() is None:
            tokens += read
        if written and writing_entry(plan, of.digest).read_manifest() is None:
            tokens += written
        if not tokens:
            return 0.0
        weights = inspect_model(of, layer=1.0).weights
        return loading(weights) + weights * tokens / rate

    of_references = {
        member.digest: seconds(member.reference, reading_entry(plan, member.key))
        for member in found
        if member.reference is not None
    }
    pair = [plan.references[side] for side in SIDES if not plan.references[side].archived]
    unread = sum(of > 0 for of in of_references.values())
    writing = sum(seconds(of, None) for of in pair)
    return ReferencesCost(len(found), unread, sum(of_references.values()), writing)
