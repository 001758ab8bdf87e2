"""Progress on the terminal, shown although pytest captures what tests print."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from typing import TYPE_CHECKING

from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.report.live.among_dots import AmongDots
from pytest_crossdiff.report.live.outlook import Outlook
from pytest_crossdiff.text import duration, plural, roughly, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Any

    import pytest
    from typing_extensions import Self

    from pytest_crossdiff.progress import Expected, Phase, Progress

REFRESH = 0.2
"""Seconds between two drawings of a bar: lifting the capture costs more than a training step."""

LEAST_LEFT = 5.0
"""Seconds; less isn't told."""

INTERVAL, MOST_LINES = 60.0, 20
"""Without -v a line comes at most every so many seconds, and every 20th of the time so far; that a
run will take less is said within the line of its test."""

PROGRESS_PATH_KEY = "crossdiff_progress"
"""Names the file, in the input of a worker of pytest-xdist, that it writes its progress to."""


def progress_for(config: pytest.Config) -> Progress:
    """Bars on a terminal, a line now and then elsewhere, with -v for each phase, silence with -q; a
    worker of pytest-xdist tells the main process, if that asked for it.
    """
    interval = 0.0 if config.get_verbosity() > 0 else INTERVAL
    told = getattr(config, "workerinput", {}).get(PROGRESS_PATH_KEY)
    if told:
        from pytest_crossdiff.report.live.xdist_relay import appender

        lines = appender(told)
        return TerminalProgress(contextlib.nullcontext, lines, bars=False, interval=interval)
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput") or config.get_verbosity() < 0:
        return SilentProgress()
    capture = config.pluginmanager.get_plugin("capturemanager")
    uncaptured = capture.global_and_fixture_disabled if capture else contextlib.nullcontext
    with uncaptured():
        bars = sys.stderr.isatty()

    if config.get_verbosity() > 0:  # a line for each test, which begins with its name

        def begin_line() -> None:
            reporter.ensure_newline()
            reporter.flush()

        return TerminalProgress(
            uncaptured, reporter.write_line, bars=bars, interval=interval, begin_line=begin_line
        )
    dots = AmongDots(reporter)
    config.pluginmanager.register(dots)
    passes = bars and config.option.capture != "no"  # what a test prints would come behind it
    return TerminalProgress(
        uncaptured,
        dots.write_line,
        bars=bars,
        interval=interval,
        begin_line=dots.begin_line,
        within_line=None if bars else dots.write,
        pass_by=dots.pass_by if passes else None,
    )


class TerminalProgress:
    """Tells of phases on the terminal.

    uncaptured: a context in which writing reaches the terminal.  write: writes a line of its own.
    bars: draw tqdm bars on stderr; else a line at the start and the end of each phase.  interval:
    seconds; of such lines and of details only those are written that come so long after the last
    one, and what takes so long has one in between.  begin_line: called before a bar is drawn, which
    must have a line of its own.  within_line: writes a few words where the cursor is.
    pass_by: shows a line until something else is written.
    """

    def __init__(
        self,
        uncaptured: Callable[[], AbstractContextManager[object]],
        write: Callable[[str], object],
        *,
        bars: bool,
        interval: float = 0.0,
        begin_line: Callable[[], object] = lambda: None,
        within_line: Callable[[str], object] | None = None,
        pass_by: Callable[[str], object] | None = None,
    ) -> None:
        self._uncaptured = uncaptured
        self._write = write
        self.bars = bars
        self.interval = interval
        self.begin_line = begin_line
        self._within_line, self._pass_by = within_line, pass_by
        self._began = self._wrote = time.monotonic()
        self.outlook = Outlook()

    def expect(self, phases: Sequence[Expected]) -> None:
        """Number these phases, and tell how long all of them will take."""
        self.outlook.expect(phases)

    def phase(self, name: str, total: int, unit: str) -> Phase:
        """Begin a phase of `total` units."""
        if self.bars:
            return _BarPhase(self, name, total, unit)
        return _LinePhase(self, name, total, unit)

    def note(self, message: str) -> None:
        """Write a line."""
        with self._uncaptured():
            self._write(f"crossdiff: {visible(message)}")
        self._wrote = time.monotonic()

    def estimate(self, message: str, seconds: float) -> None:
        """Write a line, or of what is short `(about 30 seconds)` within that of the test."""
        if seconds < INTERVAL and self._pass_by is not None:  # each bar says what is left
            self.detail(message)
        elif seconds < INTERVAL and self._within_line is not None:
            with self._uncaptured():
                self._within_line(f"(about {roughly(seconds)}) ")
            self._wrote = time.monotonic()
        else:
            self.note(message)

    def detail(self, message: str) -> None:
        """Show a line on a terminal; elsewhere write one where it is due in the course of a run."""
        if self._pass_by is not None:
            with self._uncaptured():
                self._pass_by(f"crossdiff: {visible(message)}")
            return
        under_way = not self.interval or self.outlook.left() is not None
        if self.bars or (under_way and self.due()):
            self.note(message)

    def due(self) -> bool:
        """Whether the last line is long enough ago, where nothing else shows that work goes on."""
        now = time.monotonic()
        interval = self.interval and max(self.interval, (now - self._began) / MOST_LINES)
        return self._pass_by is None and now - self._wrote >= interval

    def uncaptured(self) -> AbstractContextManager[object]:
        """A context in which writing reaches the terminal."""
        return self._uncaptured()


class _LinePhase:
    """A line at the start and the end; `_open` and `_close` are what a bar does otherwise."""

    def __init__(self, progress: TerminalProgress, name: str, total: int, unit: str) -> None:
        self._progress, self._outlook = progress, progress.outlook
        self._name, self._title = name, progress.outlook.number(name) + name
        self._total = total
        self._unit = unit
        self._done = 0
        self._began = 0.0

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._outlook.begin(self._name)
        self._open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
        self._outlook.end()
        seconds = time.monotonic() - self._began
        took = duration(seconds)
        if kind is None:
            if self._progress.due() or seconds >= self._progress.interval:
                self._progress.note(f"{self._title}: done in {took}{self._left()}")
        else:
            done = f"{self._done} of {plural(self._total, self._unit)}"
            kept = "; what is finished is kept, and the next run goes on from there"
            stopped = f"{self._title}: stopped after {done} and {took}"
            self._progress.note(stopped + kept * issubclass(kind, KeyboardInterrupt))

    def advance(self, units: int = 1, detail: str = "") -> None:  # noqa: ARG002
        self._done += units
        self._outlook.advance(self._done / max(1, self._total))
        if self._progress.interval and not self._progress.bars and self._progress.due():
            done = f"{self._done} of {plural(self._total, self._unit)}"
            self._progress.note(f"{self._title}: {done}{self._left()}")

    def _open(self) -> None:
        self._progress.detail(f"{self._title}: {plural(self._total, self._unit)}")

    def _left(self) -> str:
        """`, about 4 minutes left`, "" where that isn't known or too little to tell."""
        left = self._outlook.left()
        return f", about {roughly(left)} left" if left is not None and left >= LEAST_LEFT else ""

    def _close(self) -> None:
        pass


class _BarPhase(_LinePhase):
    """A bar with the time left, instead of the line at the start."""

    _bar: Any = None
    _drawn = 0.0
    _waiting = 0

    def advance(self, units: int = 1, detail: str = "") -> None:
        super().advance(units)
        self._waiting += units
        now = time.monotonic()
        if now - self._drawn < REFRESH:
            return
        with self._progress.uncaptured():
            left = self._left().removeprefix(", ")
            told = ", ".join(part for part in (detail, f"{left} in all" * bool(left)) if part)
            self._bar.set_postfix_str(told, refresh=False)
            self._bar.update(self._waiting)
        self._waiting, self._drawn = 0, now

    def _open(self) -> None:
        from tqdm import tqdm

        class Bar(tqdm):  # type: ignore[type-arg]
            monitor_interval = 0  # its thread would write while pytest captures

        with self._progress.uncaptured():
            size = shutil.get_terminal_size((100, 24))  # tqdm's own draws nothing on 0 by 0
            self._progress.begin_line()
            self._bar = Bar(
                total=self._total,
                desc=f"crossdiff: {self._title}",
                bar_format="{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{postfix}",
                unit=self._unit,
                unit_scale=self._total >= 10_000,
                file=sys.stderr,
                leave=False,
                ncols=size.columns,
                nrows=size.lines,
                mininterval=0,
            )

    def _close(self) -> None:
        with self._progress.uncaptured():
            self._bar.update(self._waiting)
            self._bar.close()
