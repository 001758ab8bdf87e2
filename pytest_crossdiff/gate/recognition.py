"""Which differences of a result were accepted before."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from pytest_crossdiff.gate.fingerprint import Fingerprint
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Iterable

    from pytest_crossdiff.gate.accepted_file import Entry
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.sides import Side

MIN_CORRELATION = 0.5
"""Correlation from which on two fingerprints are one difference (docs/evidence/recognition.md)."""

State = Literal["accepted", "grown", "expired"]


@dataclass(frozen=True)
class RecognisedDifference:
    """A difference of a result, the entry that it is known by, and whether that lets it pass.

    growth: its strength over the strength that was accepted.
    """

    difference: str
    entry: Entry
    correlation: float
    growth: float
    state: State


@dataclass(frozen=True)
class Recognition:
    """What was recognised in one result.  missing: entries that no difference matches."""

    found: tuple[RecognisedDifference, ...] = ()
    missing: tuple[Entry, ...] = ()

    def of(self, difference: str) -> RecognisedDifference | None:
        """The entry that the difference of this id is known by, None when it is new."""
        return next((r for r in self.found if r.difference == difference), None)

    def accepts(self, difference: str) -> bool:
        """Whether the difference of this id isn't to count."""
        found = self.of(difference)
        return found is not None and found.state == "accepted"


NONE_ACCEPTED = Recognition()


class AcceptanceLookup(Protocol):
    """Whatever knows which differences were accepted."""

    def accepts(self, difference: str) -> bool:
        """Whether the difference of this id isn't to count."""
        ...


def recognise(
    result: Result, entries: Iterable[Entry], *, growth: float, today: datetime.date
) -> Recognition:
    """Find `entries`, all of the slot of `result`, among its differences, one to one.

    growth: how many times the accepted strength a difference may have; what is stronger has grown.
    An entry that has expired is recognised but lets nothing pass.
    """
    entries = tuple(entries)
    if not entries:
        return Recognition()
    pairs = result.corpus.heldout_pairs
    prints = {d.id: Fingerprint.of(d, pairs) for d in result.differences}
    alike = [
        (correlation, entry.id, d.id)
        for d in result.differences
        for entry in entries
        if entry.side == d.side
        and (correlation := entry.fingerprint.correlation(prints[d.id])) >= MIN_CORRELATION
    ]
    by_name = {d.id: d for d in result.differences}
    by_id = {entry.id: entry for entry in entries}
    found = {}
    for correlation, entry_id, difference in one_to_one(alike):
        entry, now = by_id[entry_id], by_name[difference]
        grown = now.strength / max(entry.strength, 1e-12)
        state: State = "accepted"
        if entry.expired(today):
            state = "expired"
        elif not grown <= growth:  # so written, what is not a number has grown
            state = "grown"
        found[difference] = RecognisedDifference(difference, entry, correlation, grown, state)
    taken = {r.entry.id for r in found.values()}
    return Recognition(
        tuple(found[d.id] for d in result.differences if d.id in found),
        tuple(entry for entry in entries if entry.id not in taken),
    )


class Comparison(NamedTuple):
    """The differences of two results on the same texts, one to one, by where they fire.

    kept: those of both, as they were and as they are.
    """

    new: tuple[Difference, ...]
    gone: tuple[Difference, ...]
    kept: tuple[tuple[Difference, Difference], ...]


def compare(before: Result, after: Result) -> Comparison:
    """Which differences of `after` are those of `before`."""
    of = {(at, d.id): d for at in (0, 1) for d in (before, after)[at].differences}
    pairs = before.corpus.heldout_pairs, after.corpus.heldout_pairs
    prints = {key: Fingerprint.of(d, pairs[key[0]]) for key, d in of.items()}
    alike = [
        (correlation, old.id, new.id)
        for old in before.differences
        for new in after.differences
        if old.side == new.side
        and (correlation := prints[0, old.id].correlation(prints[1, new.id])) >= MIN_CORRELATION
    ]
    found = {new: old for _, old, new in one_to_one(alike)}
    return Comparison(
        tuple(d for d in after.differences if d.id not in found),
        tuple(d for d in before.differences if d.id not in found.values()),
        tuple((of[0, found[d.id]], d) for d in after.differences if d.id in found),
    )


def one_to_one(alike: Iterable[tuple[float, str, str]]) -> list[tuple[float, str, str]]:
    """The most alike pair first, then the most alike of what is left, and so on.

    On real pairs that gives what the assignment of the largest sum gives
    (docs/evidence/recognition.md), and a difference never loses the entry most like it to one that
    is less so.
    """
    chosen: list[tuple[float, str, str]] = []
    left: set[str] = set()
    right: set[str] = set()
    for pair in sorted(alike, key=lambda p: (-p[0], p[1], p[2])):
        if pair[1] not in left and pair[2] not in right:
            chosen.append(pair)
            left.add(pair[1])
            right.add(pair[2])
    return chosen


def without_accepted(result: Result, accepted: AcceptanceLookup) -> Result:
    """`result` as if it had only the differences that were not accepted."""
    return without(result, lambda difference: accepted.accepts(difference.id))


def without(result: Result, leaves: Callable[[Difference], bool]) -> Result:
    """`result` as if it had none of the differences that `leaves` is true of."""
    if not any(map(leaves, result.differences)):
        return result
    baseline, candidate = (_remaining_strength(result, leaves, side) for side in SIDES)
    return dataclasses.replace(
        result,
        differences=tuple(d for d in result.differences if not leaves(d)),
        baseline_total_strength=baseline,
        candidate_total_strength=candidate,
    )


def _remaining_strength(result: Result, leaves: Callable[[Difference], bool], side: Side) -> float:
    """The joint strength of what counts: its share of the joint strength of all, and where that
    is less than its own sum, the sum; never more than that of all.
    """
    total, all_ = result.total_strength(side), result.of(side)
    new = sum(d.strength for d in all_ if not leaves(d))
    own = sum(d.strength for d in all_)
    if own <= 0.0 or not any(map(leaves, all_)):
        return total
    return min(total, new * max(1.0, total / own))
