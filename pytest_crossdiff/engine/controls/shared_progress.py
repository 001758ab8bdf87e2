"""The progress of work in several threads: of one piece it is shown, and where one ends with an
error, or the run does, so do all.
"""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from pytest_crossdiff.progress import SilentProgress

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from pytest_crossdiff.progress import Expected, Phase, Progress


class Ended(KeyboardInterrupt):
    """Ends a piece of work whose result nobody wants any more."""


class SharedProgress:
    """Tells `shown` of phases and remarks, from any thread."""

    def __init__(self, shown: Progress) -> None:
        self._shown, self._remarks = shown, shown
        self._lock, self._ended = threading.Lock(), threading.Event()

    def unseen(self) -> SharedProgress:
        """The same for a piece of which remarks alone are shown."""
        made = SharedProgress(SilentProgress())
        made._remarks, made._lock, made._ended = self._remarks, self._lock, self._ended
        return made

    @contextlib.contextmanager
    def ended_together(self) -> Iterator[None]:
        """Where what is inside raises, each piece ends at its next step."""
        try:
            yield
        except BaseException:
            self._ended.set()
            raise

    def expect(self, phases: Sequence[Expected]) -> None:
        """Say what is to come."""
        with self._lock:
            self._shown.expect(phases)

    def phase(self, name: str, total: int, unit: str) -> Phase:
        """Begin a phase."""
        with self._lock:
            return _SharedPhase(self._shown.phase(name, total, unit), self._lock, self._ended)

    def note(self, message: str) -> None:
        """Say one thing."""
        with self._lock:
            self._remarks.note(message)

    def detail(self, message: str) -> None:
        """Say what is done now."""
        with self._lock:
            self._shown.detail(message)


class _SharedPhase:
    def __init__(self, phase: Phase, lock: threading.Lock, ended: threading.Event) -> None:
        self._phase, self._lock, self._ended = phase, lock, ended

    def __enter__(self) -> Self:
        with self._lock:
            self._phase.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._phase.__exit__(kind, error, trace)

    def advance(self, units: int = 1, detail: str = "") -> None:
        if self._ended.is_set():
            raise Ended
        with self._lock:
            self._phase.advance(units, detail)
