"""What is told of accepted differences: which aren't counted, which fail again, which are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.gate.accepted import FILE
from pytest_crossdiff.report.text import number, plural, visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_crossdiff.gate.accepted import Entry
    from pytest_crossdiff.gate.recognition import Recognised, Recognition
    from pytest_crossdiff.report.summary import Acceptance


def not_counted(accepted: Recognition) -> list[str]:
    """The lines of a failure message: what was left out of the counts, and what wasn't and why."""
    out = [visible(found.difference) for found in accepted.found if found.state == "accepted"]
    lines = [f"Accepted, so not counted: {' '.join(out)}"] if out else []
    lines += [
        f"Accepted before, counted all the same: {_again(found)}"
        for found in accepted.found
        if found.state != "accepted"
    ]
    return ["", *lines] if lines else []


def acceptances(accepted: Recognition) -> Iterator[tuple[str, str, str]]:
    """Id, state and text of each entry that was looked for."""
    for found in accepted.found:
        text = _again(found)
        if found.state == "accepted":
            text = f"{visible(found.difference)}, {_entry(found.entry)}"
        yield found.entry.id, found.state, text
    for entry in accepted.missing:
        yield entry.id, "missing", f"{visible(entry.seen_as)}, {_entry(entry)}"


def warnings(accepted: Iterable[Acceptance]) -> Iterator[str]:
    """What is to be done about the entries of all pairs of a run."""
    told = tuple(dict.fromkeys(accepted))
    found = {a.id for a in told if a.state != "missing"}
    for a in told:
        if a.state == "expired":
            yield f"no longer accepted: {a.text}"
        elif a.state == "grown":
            yield f"grown since it was accepted: {a.text}"
    missing = {a.id: a.text for a in told if a.state == "missing" and a.id not in found}
    for text in missing.values():
        yield f"accepted, but not found: {text}"
    if missing:
        yield (
            f"{plural(len(missing), 'entry', 'entries')} of {FILE} can be removed, "
            "if this run had all the tests"
        )


def _again(found: Recognised) -> str:
    entry = found.entry
    name = visible(found.difference)
    if found.state == "expired":
        return f"{name}, accepted until {entry.expires}, {_entry(entry)}"
    return (
        f"{name}, accepted at strength {number(entry.strength)} and now {found.growth:.3g} times "
        f"that, {_entry(entry)}"
    )


def _entry(entry: Entry) -> str:
    return f"{entry.id} ({visible(entry.author)}, {entry.date}: {visible(entry.reason)})"
