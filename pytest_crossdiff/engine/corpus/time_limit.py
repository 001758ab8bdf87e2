"""A limit on the time that code from outside may take: the templates of prompts and conversations.

Jinja's sandbox limits each loop, not how loops multiply when they stand inside of one another.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 60.0
"""A template in use takes milliseconds."""
_POLL_SECONDS = 0.1
_AGAIN_SECONDS = 1.0
"""After so long what goes on is stopped again: Python drops what is raised in a finaliser."""
_IDLE_SECONDS = 2.0


class TooLongError(Exception):
    """The code took longer than `SECONDS`."""


class _Stop(BaseException):
    """What is raised in the code; no template can catch it."""


class _Watch:
    """A thread that stops those that are over their time.  It ends when there are none any more."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: dict[int, float] = {}
        self._stopped: set[int] = set()
        self._last_used = 0.0
        self._process = 0  # in which the thread runs; a forked one has none

    def begin(self, thread: int) -> None:
        with self._lock:
            self._last_used = time.monotonic()
            self._deadlines[thread] = self._last_used + SECONDS
            if self._process != os.getpid():
                self._process = os.getpid()
                threading.Thread(
                    target=self._watch, name="crossdiff-time-limit", daemon=True
                ).start()

    def end(self, thread: int) -> None:
        """After this the thread is not stopped any more."""
        with self._lock:
            self._deadlines.pop(thread, None)
            if thread in self._stopped:
                self._stopped.remove(thread)
                _raise_in(thread, None)  # it may not have noticed yet

    def _watch(self) -> None:
        while True:
            time.sleep(_POLL_SECONDS)
            with self._lock:
                now = time.monotonic()
                for thread, deadline in [*self._deadlines.items()]:
                    if now > deadline:
                        self._deadlines[thread] = now + _AGAIN_SECONDS
                        self._stopped.add(thread)
                        _raise_in(thread, _Stop)
                if not self._deadlines and now > self._last_used + _IDLE_SECONDS:
                    self._process = 0
                    return


def _raise_in(thread: int, kind: type[BaseException] | None) -> None:
    """Let a thread raise `kind` before its next instruction; None: take that back."""
    set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
    set_exception(ctypes.c_ulong(thread), ctypes.py_object(kind) if kind else None)


_WATCH = _Watch()


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    """Raise `TooLongError` when what is inside takes longer than `SECONDS`.

    A single operation of the interpreter, such as a power of huge numbers, is not interrupted.
    """
    thread = threading.get_ident()
    try:
        _WATCH.begin(thread)
        try:
            yield
        finally:
            _WATCH.end(thread)
    except _Stop:
        raise TooLongError(f"it takes longer than {SECONDS:g} s") from None
