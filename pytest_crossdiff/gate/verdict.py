"""The verdict: a pure function of what was measured and allowed, so a re-run can't flip it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_crossdiff.gate.recognition import NONE_ACCEPTED, without_accepted
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.gate.budgets import Budgets, Limits
    from pytest_crossdiff.gate.recognition import AcceptanceLookup
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.sides import Side

Status = Literal["within", "exceeded", "inconclusive", "insufficient"]


@dataclass(frozen=True)
class SideVerdict:
    """What one side has that the other hasn't, against its limits.

    count: confirmed differences.  possible: further ones that are not confirmed.
    strength, possible_strength: joint strength, 0 to 1, of the confirmed ones alone, and at most
    with the possible ones.
    """

    side: Side
    count: int
    possible: int
    strength: float
    possible_strength: float
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

    @property
    def undecided(self) -> bool:
        """Within both limits, but not if what is possible were confirmed."""
        count, strength = self.limits.max_count, self.limits.max_strength
        return not self.exceeded and (
            (count is not None and self.count + self.possible > count)
            or (strength is not None and not self.possible_strength <= strength)
        )


@dataclass(frozen=True)
class Verdict:
    """status: inconclusive when what is possible would be over a limit and what is confirmed isn't;
    insufficient when the measurement can't carry a verdict, for the `reason` given.
    """

    status: Status
    sides: tuple[SideVerdict, ...]
    reason: str = ""

    @property
    def undecided(self) -> tuple[SideVerdict, ...]:
        """The sides that more evidence might put over a limit."""
        return tuple(side for side in self.sides if side.undecided)


def compute_verdict(
    result: Result, budgets: Budgets, accepted: AcceptanceLookup = NONE_ACCEPTED
) -> Verdict:
    """Hold `result`, less what was accepted of it, against `budgets`."""
    result = without_accepted(result, accepted)
    sides = tuple(
        _side(result, side, limits)
        for side in reversed(SIDES)
        if (limits := budgets.limits(side)) is not None
    )
    doubts = list(_measurement_problems(result, budgets))
    unseen = list(_sensitivity_problems(result, budgets))
    # That weak signals are missed makes silence worthless, not what is found all the same.
    if not doubts and any(side.exceeded for side in sides):
        return Verdict("exceeded", sides)
    if doubts or unseen:
        return Verdict("insufficient", sides, "; ".join([*doubts, *unseen]))
    return Verdict("inconclusive" if any(side.undecided for side in sides) else "within", sides)


def _side(result: Result, side: Side, limits: Limits) -> SideVerdict:
    possible = result.of(side, "possible")
    strength = result.total_strength(side)
    return SideVerdict(
        side=side,
        count=len(result.of(side)),
        possible=len(possible),
        strength=strength,
        possible_strength=strength + sum(d.strength for d in possible),
        limits=limits,
    )


def _measurement_problems(result: Result, budgets: Budgets) -> Iterator[str]:
    """Why nothing that was found can be trusted."""
    poor = [side for side in SIDES if not result.model(side).fve >= budgets.min_fve]
    if poor:
        explained = " and ".join(f"{result.model(s).fve:.3f} of the {s}'s" for s in poor)
        yield f"the dictionary explains {explained} variance, at least {budgets.min_fve:g} needed"
    null = result.controls.null
    if null is not None and null.found:
        found = plural(null.found, "false positive")
        yield f"the null control, which compares the baseline with itself, has {found}"


def _sensitivity_problems(result: Result, budgets: Budgets) -> Iterator[str]:
    """Why it means nothing that nothing more was found."""
    for side in SIDES:
        planted = [
            spike.strength for spike in result.controls.planted_signals if spike.side == side
        ]
        if planted and budgets.limits(side) and result.limit_of_detection(side) is None:
            yield (f"planted signals of strength {max(planted):g} in the {side} were not detected")
