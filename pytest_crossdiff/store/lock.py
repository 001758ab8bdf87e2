"""A lock per key that lives as long as the process that holds it."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

from pytest_crossdiff.store.files import translate_os_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from filelock import BaseFileLock

_POLL_SECONDS = 0.1


class KeyLock:
    """The operating system's lock on a file, which a killed process lets go of.

    It may be taken again by who holds it.  label: what it stands for, in words.
    """

    def __init__(self, path: Path, label: str, prepare: Callable[[], None]) -> None:
        self._path = path
        self._label = label
        self._prepare = prepare
        self._depth = 0

    @property
    def is_held(self) -> bool:
        """Whether this process holds it, in whichever thread."""
        return self._depth > 0

    @functools.cached_property
    def _lock(self) -> BaseFileLock:
        from filelock import FileLock  # late: not every run of pytest needs it

        return FileLock(self._path)

    @contextlib.contextmanager
    def held(self, on_wait: Callable[[str], None] | None = None) -> Iterator[bool]:
        """Hold the lock; yields whether it was taken now rather than held already.

        on_wait: called once with a message when another process holds it.
        """
        if not self._acquire(timeout=0):
            if on_wait is not None:
                on_wait(f"another process is at work on {self._label}; waiting for it to finish")
            self._acquire(timeout=-1)
        with self._entered():
            yield self._depth == 1

    @contextlib.contextmanager
    def held_if_free(self) -> Iterator[bool]:
        """Hold the lock unless another process does; yields whether it is held."""
        if self._acquire(timeout=0):
            with self._entered():
                yield True
        else:
            yield False

    @contextlib.contextmanager
    def _entered(self) -> Iterator[None]:
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self._lock.release()

    def _acquire(self, timeout: float) -> bool:
        from filelock import Timeout

        with translate_os_errors(self._path, "lock"):
            self._prepare()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=timeout, poll_interval=_POLL_SECONDS)
            except Timeout:
                return False
        return True
