"""Browsing differences at a terminal: a list, a line to type, one difference or the list again."""

from __future__ import annotations

import dataclasses
import io
import re
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.differences import HEAD, row, write_difference, write_pair
from pytest_crossdiff.cli.terminal import table
from pytest_crossdiff.gate.patterns import matches
from pytest_crossdiff.text import plural, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_crossdiff.cli.results import LoadedReport
    from pytest_crossdiff.cli.terminal import Terminal
    from pytest_crossdiff.report.document import Report
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result

HELP = """\
  3, C1   open a difference, by its number in the list or its id
  n, p    the next and the previous one; of a long list the next and the previous rows
  l       the list (Enter does, too)
  /word   only those with it in a token, a text, a word near or a label; / alone: all again
  s       sort by exclusivity, or by strength again
  q       leave (Ctrl-D does, too)"""
LEAST_ROWS, AROUND = 5, 6
"""Rows of the list however low the terminal; lines that are to be seen beside them."""


@dataclass(frozen=True)
class View:
    """What is looked at.  first: the row at the top.  opened: a row, None for the list.
    word: what those shown have, "" for anything.
    """

    first: int = 0
    opened: int | None = None
    word: str = ""
    by: str = "strength"


def browse(
    out: Terminal, found: LoadedReport, differences: Sequence[Difference], limit: int
) -> None:
    """Show `differences`, `limit` rows at once at most (0: as many as fit), until somebody leaves.

    Raises `KeyboardInterrupt` at Ctrl-C.
    """
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    write_pair(out, found)
    rows = max(LEAST_ROWS, shutil.get_terminal_size().lines - AROUND)
    rows = min(rows, limit) if limit > 0 else rows
    view = View()
    shown = _those(differences, found.result, view)
    _write(out, shown, view, found.report, rows)
    while True:
        try:
            line = out.ask("crossdiff (? for help): ")
        except KeyboardInterrupt:
            out.line()  # what is said of it stands on a line of its own
            raise
        if line is None:
            out.line()
            return
        command = line.strip()
        if command == "q":
            return
        if command == "?":
            out.line(HELP)
            continue
        after = _next(command, view, shown, rows)
        if isinstance(after, str):
            out.line(visible(after))
            continue
        if (after.word, after.by) != (view.word, view.by):
            those = _those(differences, found.result, after)
            if not those:
                out.line(f"None has {visible(after.word)!r}.")
                continue
            shown = those
        view = after
        _write(out, shown, view, found.report, rows)


def _next(command: str, view: View, shown: Sequence[Difference], rows: int) -> View | str:
    """What a command leads to, or in words why nowhere."""
    if command in ("", "l"):
        return dataclasses.replace(view, opened=None)
    if command in ("n", "p"):
        return _moved(1 if command == "n" else -1, view, len(shown), rows)
    if command == "s":
        return View(word=view.word, by="exclusivity" if view.by == "strength" else "strength")
    if command.startswith("/"):
        return View(word=command[1:].strip(), by=view.by)
    ids = {d.id.upper(): at for at, d in enumerate(shown)}
    number = int(command) if command.isdecimal() and len(command) < 9 else 0
    at = ids.get(command.upper(), number - 1)
    if not 0 <= at < len(shown):
        return f"There is no {command!r} in the list; ? says what can be typed."
    return dataclasses.replace(view, opened=at, first=at - at % rows)


def _moved(step: int, view: View, count: int, rows: int) -> View | str:
    where = "There is nothing after it." if step > 0 else "There is nothing before it."
    if view.opened is None:
        first = view.first + step * rows
        return dataclasses.replace(view, first=first) if 0 <= first < count else where
    at = view.opened + step
    if not 0 <= at < count:
        return where
    return dataclasses.replace(view, opened=at, first=at - at % rows)


def _those(differences: Sequence[Difference], result: Result, view: View) -> list[Difference]:
    pattern = re.compile(re.escape(view.word), re.IGNORECASE)
    those = [d for d in differences if matches(d, pattern, result) or _named(d, pattern)]
    if view.by == "strength":
        return sorted(those, key=lambda d: (not d.confirmed, -d.strength))
    # Of what is rewritten the exclusivity says nothing.
    return sorted(those, key=lambda d: (d.kind == "rewritten", -d.exclusivity))


def _named(d: Difference, pattern: re.Pattern[str]) -> bool:
    return any(pattern.search(text) for text in (d.label, *(w for w, _ in d.description.words)))


def _write(
    out: Terminal, shown: Sequence[Difference], view: View, report: Report, rows: int
) -> None:
    out.line()
    if view.opened is not None:
        write_difference(out, shown[view.opened], report)
        out.line(out.paint(f"{view.opened + 1} of {len(shown)}", "dim"))
        return
    last = min(view.first + rows, len(shown))
    having = f" with {visible(view.word)!r}" if view.word else ""
    out.line(
        f"{view.first + 1} to {last} of {plural(len(shown), 'difference')}{having}, by {view.by}:"
    )
    cells = [(str(at + 1), *row(shown[at], report)) for at in range(view.first, last)]
    for line in table(("", *HEAD), cells, out.width):
        out.line(line)
