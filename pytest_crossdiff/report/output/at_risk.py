"""The tests that one model passes and the other fails, on the terminal and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.report.markup import escaped
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import cut, percent, plural, visible, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from pytest_crossdiff.results.tests import FiringShare, RecordedText, TestAtRisk, TestsAtRisk

MOST_DIFFERENCES, MOST_TEXTS = 3, 2
"""Of a test that are shown."""
MOST_TESTS = 30
"""In Markdown."""


def write_at_risk(reporter: pytest.TerminalReporter, found: TestsAtRisk, width: int) -> None:
    """A section of the summary."""
    reporter.write_sep("=", "crossdiff: tests that one model passes and the other fails")
    for line in at_risk(found, width):
        reporter.write_line(line)


def at_risk(found: TestsAtRisk, width: int) -> Iterator[str]:
    """Each of the tests with its differences and with the texts that none of them explains."""
    yield from wrapped(how_many(found), width, 0)
    for test in found.tests:
        yield from _test(test, width, compared=not found.reason)


def how_many(found: TestsAtRisk) -> str:
    """How many tests there are, and how many differences were compared on their texts."""
    tested = (
        f"{plural(found.tested, 'difference')} compared on the texts of {found.read} of them "
        "(permutation test)"
    )
    if found.unread:
        tested += f"; {plural(len(found.unread), 'text')} not read: {visible(found.unread[0])}"
    why = f"no difference was compared: {visible(found.reason)}" if found.reason else tested
    return f"{len(found.tests)} of {plural(found.pairs, 'test')} that ran on both models; {why}"


def outcome(test: TestAtRisk) -> str:
    """`test_tone[*]: the baseline passes, the candidate fails`."""
    fails = next(side for side in SIDES if side != test.passes)
    return f"{visible(test.name)}: the {test.passes} passes, the {fails} fails"


def firing(share: FiringShare) -> str:
    """`C1 (block 15 of 30) fires on 12 % of its tokens: fires on ' is' …`."""
    return (
        f"{share.difference} ({share.layer}) fires on {percent(share.share)} of its tokens: "
        f"{share.what}"
    )


def at_risk_section(found: TestsAtRisk | None) -> Iterator[str]:
    """The same as Markdown, with as many differences and texts of each test."""
    if found is None:
        return
    yield from ("", "Tests that one model passes and the other fails:", "")
    yield f"{escaped(how_many(found), 400)}."
    yield ""
    for test in found.tests[:MOST_TESTS]:
        yield f"- {escaped(outcome(test), 300)}"
        for share in test.differences[:MOST_DIFFERENCES]:
            yield f"  - {escaped(firing(share), 300)}"
        shown = () if found.reason else test.unexplained[:MOST_TEXTS]
        for text in shown:
            yield f"  - no difference fires: {escaped(_shown(text), 300)}"
    if len(found.tests) > MOST_TESTS:
        yield f"- … and {len(found.tests) - MOST_TESTS} more"


def _test(test: TestAtRisk, width: int, *, compared: bool) -> Iterator[str]:
    yield from wrapped(outcome(test), width, 2)
    for share in test.differences[:MOST_DIFFERENCES]:
        yield from wrapped(f"  {firing(share)}", width, 6)
    if compared and test.unexplained:
        yield (
            "  on these texts none of them fires:"
            if test.differences
            else ("  no difference explains:")
        )
        for text in test.unexplained[:MOST_TEXTS]:
            yield cut(f"    {_shown(text)}", width)
        if len(test.unexplained) > MOST_TEXTS:
            yield f"    … and {len(test.unexplained) - MOST_TEXTS} more"


def _shown(text: RecordedText) -> str:
    asked = text.prompt[-1][1] if text.prompt else ""
    return f"{visible(asked)!r} → {text.side}: {visible(text.output)!r}"
