"""What a JUnit file says of a test beyond its outcome, as properties of the test case."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.report.output.at_risk import MOST_DIFFERENCES, firing, outcome
from pytest_crossdiff.report.screen.pair import status
from pytest_crossdiff.text import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

    from pytest_crossdiff.report.summary import PairSummary
    from pytest_crossdiff.results.tests import TestsAtRisk

PREFIX = "crossdiff."


def properties(pair: PairSummary) -> Iterator[tuple[str, str]]:
    """Names and values, the result's key first, by which the pairs of one test differ."""
    yield f"{PREFIX}result", pair.key
    yield f"{PREFIX}verdict", status(pair) or "none"
    for model in reversed(pair.models):
        has = model.has
        yield f"{PREFIX}{has.side}", model.reference
        yield f"{PREFIX}{has.side}_only", str(has.count)
        yield f"{PREFIX}{has.side}_only_possible", str(has.possible)
        yield f"{PREFIX}{has.side}_only_strength", number(has.strength)
        limit = "unknown" if has.limit_of_detection is None else number(has.limit_of_detection)
        yield f"{PREFIX}{has.side}_limit_of_detection", limit
    yield from ((f"{PREFIX}{name}", value) for name, value in pair.output_numbers.items())
    out = sum(accepted.state == "accepted" for accepted in pair.accepted)
    yield f"{PREFIX}accepted", str(out)


def replace_properties(
    properties_of_item: list[tuple[str, object]], pair: PairSummary
) -> list[tuple[str, object]]:
    """The properties with those of `pair`, instead of what was said of it before."""
    kept: list[tuple[str, object]] = []
    skipping = False
    for name, value in properties_of_item:
        if name == f"{PREFIX}result":
            skipping = value == pair.key
        if not (skipping and name.startswith(PREFIX)):
            kept.append((name, value))
    return [*kept, *properties(pair)]


def add_at_risk(plugins: pytest.PytestPluginManager, found: TestsAtRisk) -> None:
    """A property of the suite for each test that one model passes and the other fails."""
    writers = [p for p in plugins.get_plugins() if hasattr(p, "add_global_property")]
    for writer in writers:
        for test in found.tests:
            fires = "; ".join(map(firing, test.differences[:MOST_DIFFERENCES]))
            writer.add_global_property(
                f"{PREFIX}test_at_risk", f"{outcome(test)}; {fires or 'no difference explains it'}"
            )
