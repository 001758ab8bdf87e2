"""The header and the summary section of a test run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.report.acceptance import warnings
from pytest_crossdiff.report.screen.block import block, brief
from pytest_crossdiff.report.screen.few_lines import few_lines
from pytest_crossdiff.report.screen.pair import status
from pytest_crossdiff.settings import fields
from pytest_crossdiff.settings.parsing import parse
from pytest_crossdiff.settings.registration import session_sources
from pytest_crossdiff.text import Display, visible, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pytest

    from pytest_crossdiff.report.summary import PairSummary

MOST_BLOCKS = 3
"""Pairs that have a block each without -v, such as one pair at three layers; of more than that each
has a few lines."""
_COLOURS = {
    "exceeded": "red",
    "insufficient": "red",
    "inconclusive": "yellow",
    "within": "green",
    "": "cyan",
}


def header(config: pytest.Config) -> list[str]:
    """One line for each place that sets something, with the values as they are written there."""
    defaults = {f.name: f.default for f in fields()}
    seen: set[str] = set()
    lines = []
    for layer in session_sources(config):
        names = [n for n in defaults if n in layer.values and n not in seen]
        seen.update(names)
        shown = [
            f"{name}={visible(str(layer.values[name]))}"
            for name in names
            if not _is_default(name, layer.values[name], defaults[name])
        ]
        if shown:
            lines.append(f"crossdiff ({layer.kind}): {', '.join(shown)}")
    return lines


def write_summary(
    reporter: pytest.TerminalReporter, pairs: Iterable[PairSummary], root: Path, width: int
) -> None:
    """A block for each pair, a few lines where there are many pairs; with -v and -vv longer blocks,
    with -q a line.

    The reporter leaves colours out where there is no terminal, and where NO_COLOR is set.
    """
    pairs = list(pairs)
    display = Display(width, reporter.config.get_verbosity())
    told = _tests_with_message(reporter)
    if display.verbosity < 0:
        for pair in pairs:
            reporter.write_line(brief(pair, root), **{_COLOURS[status(pair)]: True})
    else:
        many = len(pairs) > MOST_BLOCKS and display.verbosity < 1
        write = few_lines if many else block
        title = (
            f"crossdiff: differences in {len(pairs)} comparisons (-v shows more)"
            if many
            else "crossdiff"
        )
        reporter.write_sep("=", title)
        for at, pair in enumerate(pairs):
            if at and write is block:
                reporter.write_line("")
            failed = {check.test for check in pair.checks if not check.passed and check.sides}
            title, *lines = write(pair, root, display, explained=not told.isdisjoint(failed))
            reporter.write_line(title, bold=True, **{_COLOURS[status(pair)]: True})
            for line in lines:
                reporter.write_line(line)
    for text in warnings(a for pair in pairs for a in pair.accepted):
        for line in wrapped(visible(f"crossdiff: {text}"), width, 2):
            reporter.write_line(line, yellow=True)


def _tests_with_message(reporter: pytest.TerminalReporter) -> set[str]:
    """The tests of which pytest has printed why they failed."""
    option = reporter.config.option
    if option.tbstyle == "no":
        return set()
    kinds = ["failed", "error", *(["xfailed"] if getattr(option, "xfail_tb", False) else [])]
    return {report.nodeid for kind in kinds for report in reporter.stats.get(kind, ())}


def _is_default(name: str, raw: object, default: object) -> bool:
    try:
        return bool(parse(name, raw, "") == default)
    except SettingsError:
        return False
