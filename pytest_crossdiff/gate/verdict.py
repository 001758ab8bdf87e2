"""The verdict: a pure function of what was measured and allowed, so a re-run can't flip it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_crossdiff.gate.recognition import NOTHING, without_accepted
from pytest_crossdiff.result import SIDES

if TYPE_CHECKING:
    from pytest_crossdiff.gate.budgets import Budgets, Limits
    from pytest_crossdiff.gate.recognition import Recognition
    from pytest_crossdiff.result import Result, Side

Status = Literal["within", "exceeded", "insufficient"]


@dataclass(frozen=True)
class SideVerdict:
    """What one side has that the other hasn't, against its limits.

    count: differences.  strength: their joint strength, 0 to 1.
    """

    side: Side
    count: int
    strength: float
    limits: Limits

    @property
    def over_count(self) -> bool:
        """More differences than allowed."""
        return self.limits.max_count is not None and self.count > self.limits.max_count

    @property
    def over_strength(self) -> bool:
        """Stronger differences than allowed."""
        # Written so that a strength that is not a number exceeds every limit.
        most = self.limits.max_strength
        return most is not None and not self.strength <= most

    @property
    def exceeded(self) -> bool:
        """Over either limit."""
        return self.over_count or self.over_strength


@dataclass(frozen=True)
class Verdict:
    """status: insufficient when the measurement can't carry a verdict, for the `reason` given."""

    status: Status
    sides: tuple[SideVerdict, ...]
    reason: str = ""

    @property
    def exceeded(self) -> tuple[SideVerdict, ...]:
        """The sides that are over a limit."""
        return tuple(side for side in self.sides if side.exceeded)


def judge(result: Result, budgets: Budgets, accepted: Recognition = NOTHING) -> Verdict:
    """Hold `result`, less what was accepted of it, against `budgets`."""
    result = without_accepted(result, accepted)
    sides = tuple(
        SideVerdict(side, len(result.of(side)), result.total_strength(side), limits)
        for side in reversed(SIDES)
        if (limits := budgets.limits(side)) is not None
    )
    poor = [side for side in SIDES if not result.model(side).fve >= budgets.min_fve]
    if poor:
        explained = " and ".join(f"{result.model(s).fve:.3f} of the {s}'s" for s in poor)
        reason = (
            f"the dictionary explains {explained} variance, at least {budgets.min_fve:g} needed"
        )
        return Verdict("insufficient", sides, reason)
    return Verdict("exceeded" if any(s.exceeded for s in sides) else "within", sides)
