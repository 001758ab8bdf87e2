"""How much of a run is left: what was expected, corrected by what the phases so far have taken."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_crossdiff.progress import Expected

TRUSTED_SHARE = 0.05
"""Of a phase that must be done before its own speed tells what is left of it."""


class Outlook:
    """The phases that were expected, which of them runs, and what is left of all, in seconds."""

    def __init__(self) -> None:
        self._expected: list[Expected] = []
        self._took: dict[str, float] = {}
        self._current = ""
        self._began = 0.0
        self._share = 0.0

    def expect(self, phases: Sequence[Expected]) -> None:
        """Add what is to come.  Where some of it has been done before, it is another run's."""
        if any(phase.name in self._took for phase in phases):
            self._expected, self._took = [], {}
        known = {phase.name for phase in self._expected}
        self._expected += [phase for phase in phases if phase.name not in known]

    def begin(self, name: str) -> None:
        """A phase begins."""
        self._current, self._began, self._share = name, time.monotonic(), 0.0

    def advance(self, share: float) -> None:
        """So much of the present phase is done."""
        self._share = share

    def end(self) -> None:
        """The present phase is over."""
        self._took[self._current] = time.monotonic() - self._began
        self._current = ""

    def number(self, name: str) -> str:
        """`[3/8] ` for the third of eight phases, "" for one that nobody expected."""
        names = [phase.name for phase in self._expected]
        return f"[{names.index(name) + 1}/{len(names)}] " if name in names else ""

    def left(self) -> float | None:
        """Seconds until the last phase ends; None where nothing is expected any more."""
        # What comes before a phase that was begun, and wasn't itself, is left out by the run.
        begun = (*self._took, self._current)
        done = [i for i, phase in enumerate(self._expected) if phase.name in begun]
        behind = self._expected[max(done, default=-1) + 1 :]
        left = sum(phase.seconds * self._factor(phase.kind) for phase in behind)
        return left + self._left_of_current() if left or self._current else None

    def _left_of_current(self) -> float:
        spent = time.monotonic() - self._began
        if self._share > TRUSTED_SHARE:
            return spent * (1 - self._share) / self._share
        known = [phase for phase in self._expected if phase.name == self._current]
        return max(0.0, sum(p.seconds * self._factor(p.kind) for p in known) - spent)

    def _factor(self, kind: str) -> float:
        """What phases of a kind took over what was expected; of all, where none of it is done."""
        done = [phase for phase in self._expected if phase.name in self._took]
        done = [phase for phase in done if phase.kind == kind] or done
        expected = sum(phase.seconds for phase in done)
        return sum(self._took[phase.name] for phase in done) / expected if expected else 1.0
