"""Checks on the terminal: a line for each, and how many failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pytest_crossdiff.errors import CrossDiffError
from pytest_crossdiff.text import visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_crossdiff.cli.terminal import Terminal

T = TypeVar("T")


class Checks:
    """Writes a line a check and counts those that failed."""

    def __init__(self, out: Terminal) -> None:
        self.out = out
        self.failed = 0

    def attempt(
        self, name: str, check: Callable[[], T], words: Callable[[T], str] | None = None
    ) -> T | None:
        """What `check` gives, in words where there are any; None when it raised our error."""
        try:
            found = check()
        except CrossDiffError as error:
            source = f" (from {error.source})" if error.source else ""
            self.report_check(name, error.what + source, passed=False, remedy=error.remedy or "")
            return None
        if words is not None:
            self.report_check(name, words(found))
        return found

    def report_check(self, name: str, text: str, *, passed: bool = True, remedy: str = "") -> None:
        """A check that is fine, or one that failed, with what to do about it."""
        mark, style = ("✓", "green") if passed else ("✗", "red")
        self._line(mark, style, name, text)
        if not passed:
            self.failed += 1
            if remedy:
                self.out.line(f"  {'':<17} {visible(remedy)}")

    def note(self, name: str, text: str) -> None:
        """Something worth knowing."""
        self._line("!", "yellow", name, text)

    def _line(self, mark: str, style: str, name: str, text: str) -> None:
        self.out.line(f"{self.out.paint(mark, style)} {name:<17} {visible(text)}")
