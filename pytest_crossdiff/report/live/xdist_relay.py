"""Progress of the workers of pytest-xdist, which have no terminal, on that of the main process.

A worker appends lines to a file that the main process reads while it waits.  There is no such file
until a worker measures something.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

POLL_SECONDS = 0.3
_WAITING = "waiting for it to finish"


def relay_of(config: pytest.Config, write: Callable[[str], object]) -> Relay:
    """The relay of this session, which listens from now on."""
    known: Relay | None = config.pluginmanager.get_plugin("crossdiff-relay")
    if known is None:
        known = Relay(write, dots=config.get_verbosity() == 0)
        config.pluginmanager.register(known, "crossdiff-relay")
    return known


class Relay:
    """Writes what the workers say, until the session ends.

    dots: tests that are done leave a dot and no line end.
    """

    def __init__(self, write: Callable[[str], object], *, dots: bool = False) -> None:
        self._dots = dots
        self._within_line = False
        self.path = Path(tempfile.gettempdir()) / f"crossdiff-{uuid.uuid4().hex}"
        self._write = write
        self._seen = 0
        self._told: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="crossdiff-relay", daemon=True)
        self._thread.start()

    def pytest_runtest_logreport(self) -> None:
        """Take note that the line has begun."""
        self._within_line = self._dots

    def pytest_sessionfinish(self) -> None:
        """Write the rest before the summary and leave nothing behind."""
        self.close()

    def pytest_unconfigure(self) -> None:
        """The same where the session broke off."""
        self.close()

    def close(self) -> None:
        """Write what is left and remove the file."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        self._forward()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _watch(self) -> None:
        while not self._over.wait(POLL_SECONDS):
            self._forward()

    def _forward(self) -> None:
        """Write the lines that came since the last time."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._seen)
                whole, end, _ = file.read().rpartition(b"\n")
        except OSError:  # not there yet
            return
        self._seen += len(whole) + len(end)
        for line in whole.decode("utf-8", "backslashreplace").splitlines():
            if _WAITING not in line or line not in self._told:  # every other worker waits
                self._told.add(line)
                if self._within_line:
                    self._write("")
                    self._within_line = False
                self._write(line)


def appender(path: str) -> Callable[[str], None]:
    """What writes a line to the file of a `Relay`; a line that can't be written is lost."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)

    def append(line: str) -> None:
        with contextlib.suppress(OSError):
            handle = os.open(path, flags, 0o600)
            try:
                os.write(handle, f"{line}\n".encode("utf-8", "backslashreplace"))
            finally:
                os.close(handle)

    return append
