"""The tests that one model passes and the other fails, on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import cut, percent, plural, visible, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from pytest_crossdiff.results.tests import RecordedText, TestAtRisk, TestsAtRisk

MOST_DIFFERENCES, MOST_TEXTS = 3, 2
"""Of a test that are shown."""


def write_at_risk(reporter: pytest.TerminalReporter, found: TestsAtRisk, width: int) -> None:
    """A section of the summary."""
    reporter.write_sep("=", "crossdiff: tests that one model passes and the other fails")
    for line in at_risk(found, width):
        reporter.write_line(line)


def at_risk(found: TestsAtRisk, width: int) -> Iterator[str]:
    """Each of the tests with its differences and with the texts that none of them explains."""
    tested = (
        f"{plural(found.tested, 'difference')} compared on the texts of {found.read} of them "
        "(permutation test)"
    )
    why = f"no difference was compared: {visible(found.reason)}" if found.reason else tested
    many = f"{len(found.tests)} of {plural(found.pairs, 'test')} that ran on both models; {why}"
    yield from wrapped(many, width, 0)
    for test in found.tests:
        yield from _test(test, width, compared=not found.reason)


def _test(test: TestAtRisk, width: int, *, compared: bool) -> Iterator[str]:
    fails = next(side for side in SIDES if side != test.passes)
    yield from wrapped(
        f"{visible(test.name)}: the {test.passes} passes, the {fails} fails", width, 2
    )
    for share in test.differences[:MOST_DIFFERENCES]:
        yield from wrapped(
            f"  {share.difference} ({share.layer}) fires on {percent(share.share)} of its tokens: "
            f"{share.what}",
            width,
            6,
        )
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
