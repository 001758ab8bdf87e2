"""The entries that a request to accept makes of one pair's differences."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.gate import accepted_file
from pytest_crossdiff.gate.accepted_file import Entry
from pytest_crossdiff.gate.fingerprint import Fingerprint
from pytest_crossdiff.gate.recognition import without
from pytest_crossdiff.gate.slot import portable
from pytest_crossdiff.gate.verdict import compute_verdict, is_small
from pytest_crossdiff.results.wording import describe_difference, marked
from pytest_crossdiff.text import visible

if TYPE_CHECKING:
    import datetime
    from pathlib import Path

    from pytest_crossdiff.gate.accept_request import AcceptRequest
    from pytest_crossdiff.gate.budgets import Budgets
    from pytest_crossdiff.gate.recognition import Recognition
    from pytest_crossdiff.gate.slot import Slot
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result

CONTEXTS, COLUMNS = 3, 160
"""Texts of an entry, and how long each may be."""


class Proposal(NamedTuple):
    """What a request comes to on one pair: the ids that it could name, the entries it makes."""

    key: str
    ids: tuple[str, ...]
    entries: tuple[Entry, ...]

    def to_json(self) -> str:
        """As text that any test report can carry."""
        return json.dumps([self.key, self.ids, accepted_file.to_json(self.entries)])

    @classmethod
    def from_json(cls, text: str) -> Proposal:
        """The reverse of `to_json`."""
        key, ids, entries = json.loads(text)
        return cls(key, tuple(ids), accepted_file.parse(entries))


class EntryMaker(NamedTuple):
    """What all entries of a request have in common.

    folder: that of the file.  texts: whether entries may quote the corpus.
    """

    request: AcceptRequest
    slot: Slot
    folder: Path
    today: datetime.date
    texts: bool

    def proposal(self, result: Result, known: Recognition, budgets: Budgets) -> Proposal:
        """The entries of the differences that the request names.

        known: what was accepted before; a difference that it knows keeps the id of its entry.
        budgets: by which it is seen what else stands in the way of a verdict.
        """
        ids = tuple(d.id for d in result.differences)
        if self.request.all:
            named = _that_count(result, known, budgets)
        else:
            named = [d for d in result.differences if d.id in self.request.ids]
        entries = tuple(self._entry(d, result, known) for d in named)
        return Proposal(result.key, ids, entries)

    def _entry(self, difference: Difference, result: Result, known: Recognition) -> Entry:
        fingerprint = Fingerprint.of(difference, result.corpus.heldout_pairs)
        before = known.of(difference.id)
        contexts = (marked(c, COLUMNS) for c in difference.contexts[:CONTEXTS])
        return Entry(
            id=before.entry.id if before else _new_id(self.slot, difference, fingerprint),
            side=difference.side,
            slot=self.slot,
            seen_as=visible(difference.id),
            baseline=portable(result.baseline.reference, self.folder),
            candidate=portable(result.candidate.reference, self.folder),
            strength=difference.strength,
            description=describe_difference(difference) if self.texts else "",
            tokens=tuple(visible(t.token) for t in difference.tokens) if self.texts else (),
            contexts=tuple(contexts) if self.texts else (),
            reason=self.request.reason,
            author=self.request.author,
            date=self.today,
            expires=self.request.expires,
            fingerprint=fingerprint,
        )


def _that_count(result: Result, known: Recognition, budgets: Budgets) -> list[Difference]:
    """The confirmed differences that are not accepted yet, with the possible ones of a side that
    these would leave without a verdict; where there are no confirmed ones, all possible ones.
    """
    new = [d for d in result.differences if not known.accepts(d.id)]
    confirmed = [d for d in new if d.confirmed]
    if not confirmed:
        return new
    left = without(result, lambda d: d.confirmed or known.accepts(d.id))
    verdict = compute_verdict(left, budgets)
    undecided = {of.side for of in verdict.undecided}
    return [
        d
        for d in new
        if d.confirmed or (d.side in undecided and not is_small(d, budgets.min_changed_replies))
    ]


def _new_id(slot: Slot, difference: Difference, fingerprint: Fingerprint) -> str:
    places = sorted(fingerprint.places)
    digest = hashlib.sha256(repr((slot, difference.side, places)).encode()).hexdigest()
    return f"{difference.side[0]}-{digest[:8]}"
