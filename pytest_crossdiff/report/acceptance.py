"""What reports say of accepted differences: which are not counted, fail again, or are gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.gate.accepted_file import FILE
from pytest_crossdiff.text import number, plural, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_crossdiff.gate.accepted_file import Entry
    from pytest_crossdiff.gate.recognition import Recognition


@dataclass(frozen=True)
class Acceptance:
    """An accepted difference, and what became of it; dates are written 2026-11-22, "" for none.

    difference: its id here, or where it is missing the one it had when it was accepted.
    by, reason, date: who accepted it, why, and when, at which strength.  state: whether that lets
    it pass: `"accepted"`, or it has `"grown"` or `"expired"` since, or it is `"missing"` here.
    entry: the id in the file of accepted differences.  description: what it was then, "" where
    texts are left out.  growth: how many times the accepted strength it has, None where missing.
    """

    difference: str
    by: str
    reason: str
    date: str
    state: str = "accepted"
    expires: str = ""
    entry: str = ""
    description: str = ""
    strength: float = 0.0
    growth: float | None = None

    @classmethod
    def of(cls, recognition: Recognition) -> Iterator[Acceptance]:
        """The state of each entry that was looked for."""
        for known in recognition.found:
            yield cls._of(known.entry, known.difference, known.state, known.growth)
        for entry in recognition.missing:
            yield cls._of(entry, entry.seen_as, "missing", None)

    @classmethod
    def _of(cls, entry: Entry, difference: str, state: str, growth: float | None) -> Acceptance:
        return cls(
            difference=difference,
            by=entry.author,
            reason=entry.reason,
            date=entry.date.isoformat(),
            state=state,
            expires=entry.expires.isoformat() if entry.expires else "",
            entry=entry.id,
            description=entry.description,
            strength=entry.strength,
            growth=growth,
        )


def not_counted(accepted: Iterable[Acceptance]) -> list[str]:
    """The lines of a failure message: what was left out of the counts, and what wasn't and why."""
    here = [a for a in accepted if a.state != "missing"]
    out = [visible(a.difference) for a in here if a.state == "accepted"]
    lines = [f"Accepted, so not counted: {' '.join(out)}"] if out else []
    lines += [
        f"Accepted before, but counted again: {describe_acceptance(a)}"
        for a in here
        if a.state != "accepted"
    ]
    return ["", *lines] if lines else []


def warnings(accepted: Iterable[Acceptance]) -> Iterator[str]:
    """What is to be done about the entries of all pairs of a run."""
    entries = tuple(dict.fromkeys(accepted))
    found = {a.entry for a in entries if a.state != "missing"}
    for a in entries:
        if a.state == "expired":
            yield f"no longer accepted: {describe_acceptance(a)}"
        elif a.state == "grown":
            yield f"grown since it was accepted: {describe_acceptance(a)}"
    missing = {
        a.entry: describe_acceptance(a)
        for a in entries
        if a.state == "missing" and a.entry not in found
    }
    for text in missing.values():
        yield f"accepted, but not found: {text}"
    if missing:
        yield (
            f"{plural(len(missing), 'entry', 'entries')} of {FILE} can be removed, "
            "if this run had all the tests"
        )


def describe_acceptance(a: Acceptance) -> str:
    """Which difference it is, why it fails again where it does, who accepted it for what reason,
    and what it was then.
    """
    since = ""
    if a.state == "expired":
        since = f", accepted until {a.expires}"
    elif a.state == "grown":
        since = f", accepted at strength {number(a.strength)} and now {a.growth:.3g} times that"
    by = f"{visible(a.by)}, {a.date}: {visible(a.reason)}"
    about = f": {visible(a.description)}" if a.description else ""
    return f"{visible(a.difference)}{since}, {a.entry} ({by}){about}"
