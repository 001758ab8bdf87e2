"""The progress of work that goes on beside other work: not shown until it is waited for, and where
the run ends, so does that work.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from pytest_crossdiff.progress import Expected, Phase, Progress


class Ended(KeyboardInterrupt):
    """Ends work whose result nobody wants any more."""


class SharedProgress:
    """Tells another progress of phases and remarks, from any thread, once these are `shown`: of one
    phase at a time.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._lock, self._ended = threading.RLock(), threading.Event()
        self._shown = False
        self._remarks: list[str] = []
        self._running: list[_Phase] = []

    @contextlib.contextmanager
    def ended_together(self) -> Iterator[None]:
        """Where what is inside raises, the work ends at its next step."""
        try:
            yield
        except BaseException:
            self._ended.set()
            raise

    def show(self) -> None:
        """From now on, and what was to be said before."""
        with self._lock:
            self._shown = True
            for remark in self._remarks:
                self._progress.note(remark)
            self._show_one()

    def expect(self, phases: Sequence[Expected]) -> None:
        """Whoever shows the rest of the run knows what is to come."""

    def phase(self, name: str, total: int, unit: str) -> Phase:
        """Begin a phase."""
        return _Phase(self, name, total, unit)

    def note(self, message: str) -> None:
        """Say one thing, when remarks are shown."""
        with self._lock:
            if self._shown:
                self._progress.note(message)
            else:
                self._remarks.append(message)

    def estimate(self, message: str, seconds: float) -> None:
        """Whoever shows the rest of the run has said it."""

    def detail(self, message: str) -> None:
        """It may be left out, and is."""

    def begin(self, phase: _Phase) -> None:
        """A phase runs."""
        with self._lock:
            self._running.append(phase)
            self._show_one()

    def advance(self, phase: _Phase, units: int, detail: str) -> None:
        """A phase is further.  Raises `Ended` where the run is over."""
        if self._ended.is_set():
            raise Ended
        with self._lock:
            phase.done += units
            if phase.as_shown is not None:
                phase.as_shown.advance(units, detail)

    @contextlib.contextmanager
    def ending(self, phase: _Phase) -> Iterator[None]:
        """A phase runs no more; inside, it is shown no further."""
        with self._lock:
            self._running.remove(phase)
            yield
            self._show_one()

    def _show_one(self) -> None:
        if not self._shown or any(phase.as_shown is not None for phase in self._running):
            return
        for phase in self._running[-1:]:
            phase.as_shown = self._progress.phase(phase.name, phase.total, phase.unit).__enter__()
            phase.as_shown.advance(phase.done)


class _Phase:
    """as_shown: the phase that tells of it, where it is shown."""

    def __init__(self, shared: SharedProgress, name: str, total: int, unit: str) -> None:
        self._shared, self.name, self.total, self.unit = shared, name, total, unit
        self.done = 0
        self.as_shown: Phase | None = None

    def __enter__(self) -> Self:
        self._shared.begin(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._shared.ending(self):
            if self.as_shown is not None:
                self.as_shown.__exit__(kind, error, trace)

    def advance(self, units: int = 1, detail: str = "") -> None:
        self._shared.advance(self, units, detail)
