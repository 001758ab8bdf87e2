"""Pieces of text made fit for a terminal: harmless, visible, cut to a width."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable


MARKS = "⟦", "⟧"
_NAMED = {"\n": "⏎", "\r": "\\r", "\t": "⇥"}
_JOINERS = "\u200c\u200d"  # invisible, but scripts and emoji are built with them
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Display(NamedTuple):
    """How much is shown: the columns of a line, and pytest's verbosity, e.g. 2 with -vv."""

    width: int = 100
    verbosity: int = 0

    def of(self, quiet: int, normal: int, verbose: int) -> int | None:
        """How many are shown with -q, without, with -v; None, all of them, with -vv."""
        if self.verbosity > 1:
            return None
        return verbose if self.verbosity == 1 else normal if self.verbosity == 0 else quiet


DEFAULT_DISPLAY = Display()
"""What is shown where nothing else is set."""


def visible(text: str) -> str:
    """`text` on one line, with control, bidirectional and unassigned characters spelt out.

    A CI runner reads commands in the log, one kind of them anywhere in a line: they are spaced out.
    """
    shown = "".join(
        ch if ch.isprintable() or ch in _JOINERS else _NAMED.get(ch) or _escape(ch) for ch in text
    )
    return shown.replace("##[", "# #[")


def harmless(text: str) -> str:
    """`text` with its lines, each made `visible`, and none that a CI runner takes for a command."""
    return "\n".join(_no_command(visible(line)) for line in text.split("\n"))


def _no_command(line: str) -> str:
    return line.replace("::", ": :", 1) if line.lstrip().startswith("::") else line


def columns(text: str) -> int:
    """How many columns a terminal gives `text`."""
    return sum(
        0 if unicodedata.combining(ch) or ch in _JOINERS else 1 + _is_wide(ch) for ch in text
    )


def cut(text: str, width: int) -> str:
    """`text` in at most `width` columns, an ellipsis where its end is missing."""
    if columns(text) <= width:
        return text
    return head(text, width - 1) + "…" if width > 0 else ""


def wrapped(text: str, width: int, indent: int) -> list[str]:
    """`text` on lines of at most `width` columns, those after the first indented by `indent`.  No
    line begins with a per cent sign.
    """
    first, *words = re.split(r" (?!%)", text)
    lines = [first]
    for word in words:
        joined = f"{lines[-1]} {word}"
        if columns(joined) <= width or not lines[-1].strip():
            lines[-1] = joined
        else:
            lines.append(" " * indent + word)
    return [cut(line, width) for line in lines]


def number(value: float) -> str:
    """A strength, 0 to 1, to three digits."""
    return f"{value:.3g}"


def against(value: float, limit: float) -> tuple[str, str]:
    """Both numbers, with as many digits as it takes to tell them apart."""
    for digits in range(3, 18):
        pair = f"{value:.{digits}g}", f"{limit:g}"
        if value == limit or pair[0] != pair[1]:
            return pair
    return repr(value), repr(limit)


def rounded_up(value: float) -> float:
    """To two digits, and not below; 1 for what is no number above 0."""
    if not 0 < value < math.inf:
        return 1.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit) * unit


def rounded_down(share: float) -> float:
    """A share to two digits after the point, and not above."""
    return math.floor(share * 100) / 100


def percent(share: float) -> str:
    """A share as a percentage: 12.3 %, 0.04 %."""
    return f"{100 * share:.3g} %"


def quoted(texts: Iterable[str]) -> str:
    """Texts side by side, in quotes that keep their spaces in view."""
    return " ".join(f"'{visible(text)}'" for text in texts)


def plural(count: int, noun: str, many: str = "") -> str:
    """`1 difference`, `2 replies`; many: where neither an s nor that does."""
    if count == 1:
        return f"{count} {noun}"
    ies = noun.endswith("y") and noun[-2:-1] not in "aeiou"
    return f"{count} {many or (f'{noun[:-1]}ies' if ies else f'{noun}s')}"


def duration(seconds: float) -> str:
    """`0.4 s`, `42 s`, `5 min 12 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def roughly(seconds: float) -> str:
    """`20 seconds`, `6 minutes`, `2 hours`: a time that is only estimated."""
    if seconds < 55:
        return plural(max(10, 10 * round(seconds / 10)), "second")
    if seconds < 55 * 60:
        return plural(round(seconds / 60), "minute")
    return plural(max(1, round(seconds / 3600)), "hour")


def size(count: float) -> str:
    """Bytes: `512 B`, `3.1 MB`."""
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:
        count, unit = count / 1000, unit + 1
    return (
        f"{count:.0f} {_UNITS[unit]}"
        if unit == 0 or count >= 100
        else f"{count:.2g} {_UNITS[unit]}"
    )


def _escape(ch: str) -> str:
    return ch.encode("unicode_escape").decode("ascii")


def _is_wide(ch: str) -> bool:
    return unicodedata.east_asian_width(ch) in "WF"


def head(text: str, width: int) -> str:
    """The beginning of `text` that fits into `width` columns."""
    used = 0
    for at, ch in enumerate(text):
        used += columns(ch)
        if used > width:
            return text[:at]
    return text


def tail(text: str, width: int) -> str:
    """The end of `text` that fits into `width` columns."""
    used = 0
    for at in range(len(text) - 1, -1, -1):
        used += columns(text[at])
        if used > width:
            return text[at + 1 :]
    return text
