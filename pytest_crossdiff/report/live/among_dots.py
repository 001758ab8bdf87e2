"""Writing among the dots of a test file, which go on behind it.

`reporter.write_line` would have pytest write the name of the file once more.
"""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from pytest_crossdiff.text import columns, cut

if TYPE_CHECKING:
    import pytest


ROOM = 12
"""Columns behind a few words: for dots, and for the share of the tests that pytest writes last."""


class AmongDots:
    """Writes where pytest has begun a line, or not."""

    def __init__(self, reporter: pytest.TerminalReporter) -> None:
        self._reporter = reporter
        self._passing = 0

    def begin_line(self) -> None:
        """End the line that has begun, if any, and clear away what was to pass."""
        self._clear()
        if self._reporter.config.get_terminal_writer().width_of_current_line:
            self._reporter.write("\n", flush=True)

    def write_line(self, line: str) -> None:
        """Write a line of its own."""
        self.begin_line()
        self._reporter.write(f"{line}\n", flush=True)

    def write(self, words: str) -> None:
        """Write on the line of the dots, or on the next one where that is nearly full."""
        writer = self._reporter.config.get_terminal_writer()
        if writer.width_of_current_line + columns(words) + ROOM > writer.fullwidth:
            self.begin_line()
        self._clear()
        self._reporter.write(words, flush=True)

    def pass_by(self, line: str) -> None:
        """Show a line on a terminal until something else is written."""
        self.begin_line()
        shown = cut(line, shutil.get_terminal_size((100, 24)).columns - 1)
        self._passing = columns(shown)
        sys.stderr.write(shown)
        sys.stderr.flush()

    def pytest_runtest_logreport(self) -> None:
        """Make room for the dot of a test."""
        self._clear()

    def _clear(self) -> None:
        if self._passing:
            sys.stderr.write(f"\r{' ' * self._passing}\r")
            sys.stderr.flush()
            self._passing = 0
