"""Progress of a command: on standard error, so that standard output holds results alone."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.terminal import Terminal
from pytest_crossdiff.report.live.progress import TerminalProgress

if TYPE_CHECKING:
    from pytest_crossdiff.progress import Progress


def on_stderr() -> Progress:
    """Bars on a terminal, else a line at the start and the end of each phase."""
    err = Terminal.of(sys.stderr)

    def write(text: str) -> None:
        err.line(text)
        sys.stderr.flush()

    return TerminalProgress(contextlib.nullcontext, write, bars=sys.stderr.isatty())
