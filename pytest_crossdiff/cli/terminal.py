"""What a command writes: lines that fit, colours only where somebody sees them."""

from __future__ import annotations

import io
import os
import shutil
import sys
import time
from typing import TYPE_CHECKING

from pytest_crossdiff.text import columns, cut, visible, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from pytest_crossdiff.errors import CrossDiffError

_STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "magenta": "35",
    "cyan": "36",
    "candidate": "1;36",
    "baseline": "1;35",
}


class Terminal:
    """A stream to write lines to.

    colour: whether `paint` does anything.  width: columns that a line may have.
    """

    def __init__(self, stream: TextIO, *, colour: bool, width: int) -> None:
        self._stream = stream
        self.colour = colour
        self.width = width

    @classmethod
    def of(cls, stream: TextIO) -> Terminal:
        """For standard output or standard error, by what is at its other end."""
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # not every terminal can show a ⟦
        columns = shutil.get_terminal_size((100, 24)).columns
        return cls(stream, colour=_wants_colour(stream), width=min(max(columns, 60), 160))

    def line(self, text: str = "") -> None:
        """Write a line."""
        self._stream.write(f"{text}\n")

    def ask(self, prompt: str) -> str | None:
        """The line that somebody types, without its end; None when there are no more."""
        self._stream.write(prompt)
        self._stream.flush()
        line = sys.stdin.readline()
        return line.rstrip("\n") if line else None

    def paint(self, text: str, *styles: str) -> str:
        """`text` in colour, or as it is."""
        if not self.colour or not text:
            return text
        codes = ";".join(_STYLES[style] for style in styles)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def failure(self, error: CrossDiffError) -> None:
        """What went wrong, where it came from and what to do."""
        first, *rest = (visible(line) for line in str(error).splitlines() or [""])
        head, *more = self._fitted(f"crossdiff: {first}")
        self.line(self.paint("crossdiff:", "bold", "red") + head.removeprefix("crossdiff:"))
        for part in (*more, *(part for line in rest for part in self._fitted(line))):
            self.line(part)

    def _fitted(self, line: str) -> list[str]:
        """On a terminal in lines of its width; a log keeps lines whole, which are searched."""
        return wrapped(line, self.width, 4) if self._stream.isatty() else [line]


def is_interactive() -> bool:
    """Whether there is somebody to ask: a terminal at both ends, and no machine that pretends."""
    dumb = os.environ.get("TERM") == "dumb" or os.environ.get("CI")
    return not dumb and sys.stdin.isatty() and sys.stdout.isatty()


def _wants_colour(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb" and sys.platform != "win32"


def age(since: float) -> str:
    """How long ago a time in seconds since 1970 is: `now`, `5 min`, `3 h`, `12 d`."""
    seconds = time.time() - since
    for length, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return "now"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Columns as wide as their cells, the last one cut to what is left of `width`."""
    widths = [max(columns(row[i]) for row in (head, *rows)) for i in range(len(head) - 1)]
    left = max(20, width - sum(widths) - 2 * len(widths))
    for row in (head, *rows):
        cells = [cell + " " * (w - columns(cell)) for cell, w in zip(row, widths, strict=False)]
        yield "  ".join([*cells, cut(row[-1], left)]).rstrip()
