"""The verdict: a pure function of what was measured and allowed, so a re-run can't flip it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pytest_crossdiff.gate.metric_budgets import check_metric, large_change
from pytest_crossdiff.gate.population import check_population, is_distant
from pytest_crossdiff.gate.recognition import NONE_ACCEPTED, without, without_accepted
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.gate.budgets import Budgets, Limits
    from pytest_crossdiff.gate.metric_budgets import MetricCheck
    from pytest_crossdiff.gate.population import PopulationCheck
    from pytest_crossdiff.gate.recognition import AcceptanceLookup
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.sides import Side

Status = Literal["within", "exceeded", "inconclusive", "insufficient"]
Evidence = Literal["dictionary", "controls", "metrics", "references"]
"""What a verdict may have to do without."""
MODEL_DISTANCE = "the model distance is too large for possible differences to be confirmed"
TOO_FAR_APART = "the outputs differ too much for single differences to be found"


@dataclass(frozen=True)
class SideVerdict:
    """What one side has that the other hasn't, against its limits.

    count: confirmed differences.  possible: further ones that are not confirmed.
    strength, possible_strength: joint strength, 0 to 1, of the confirmed ones alone, and at most
    with the possible ones.  small: further differences that change what is said in too few answers
    to count.
    """

    side: Side
    count: int
    possible: int
    strength: float
    possible_strength: float
    limits: Limits
    small: int = 0

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
    insufficient when the measurement can't carry a verdict, for the `reason` given; exceeded for a
    `reason` when the outputs differ too much to separate single differences.
    metrics: of the output, against their limits.  population: each model that is judged by the
    references.  too_far_apart: the distance between the models is all that keeps the dictionary
    from a verdict.  lacking: the evidence that could not be used, of which the `reason` tells.
    """

    status: Status
    sides: tuple[SideVerdict, ...]
    reason: str = ""
    metrics: tuple[MetricCheck, ...] = ()
    population: tuple[PopulationCheck, ...] = ()
    too_far_apart: bool = False
    lacking: tuple[Evidence, ...] = ()

    @property
    def undecided(self) -> tuple[SideVerdict, ...]:
        """The sides that more evidence might put over a limit."""
        return tuple(side for side in self.sides if side.undecided)


def compute_verdict(
    result: Result, budgets: Budgets, accepted: AcceptanceLookup = NONE_ACCEPTED
) -> Verdict:
    """Hold `result`, less what was accepted of it, against `budgets`, and both models against the
    references where there are any.
    """
    by_dictionary = _by_dictionary(result, budgets, accepted)
    if budgets.population is None:
        return by_dictionary
    checks = tuple(
        check_population(result, side, budgets.population)
        for side in reversed(SIDES)
        if budgets.limits(side) is not None and side in budgets.population.sides
    )
    return _with_population(replace(by_dictionary, population=checks))


def _with_population(verdict: Verdict) -> Verdict:
    """The verdict with what the references say.  They decide where the dictionary cannot, for
    example because the model distance is too large to separate single differences.
    """
    statuses = {check.status for check in verdict.population}
    unmeasured = [check.reason for check in verdict.population if check.status == "unmeasured"]
    if "exceeded" in statuses:
        return replace(verdict, status="exceeded")
    if unmeasured:
        if verdict.status == "exceeded":
            return verdict
        reasons = [verdict.reason] if verdict.status == "insufficient" else []
        reason = "; ".join([*reasons, f"not judged by the references: {unmeasured[0]}"])
        lacking: tuple[Evidence, ...] = (*verdict.lacking, "references")
        return replace(verdict, status="insufficient", reason=reason, lacking=lacking)
    if verdict.too_far_apart:
        status: Status = "inconclusive" if "undecided" in statuses else "within"
        reason = f"judged by the references alone: {verdict.reason or MODEL_DISTANCE}"
        return replace(verdict, status=status, reason=reason, lacking=())
    if verdict.status == "within" and "undecided" in statuses:
        return replace(verdict, status="inconclusive")
    return verdict


def _by_dictionary(result: Result, budgets: Budgets, accepted: AcceptanceLookup) -> Verdict:
    """The verdict on differences and output metrics."""
    result = without_accepted(result, accepted)
    counted = without(result, lambda d: is_small(d, budgets.min_changed_replies))
    sides = tuple(
        _side(result, counted, side, limits)
        for side in reversed(SIDES)
        if (limits := budgets.limits(side)) is not None
    )
    doubts = list(_measurement_problems(result, budgets))
    unseen = list(_sensitivity_problems(result, budgets))
    metrics = tuple(check_metric(result, limit) for limit in budgets.metrics)
    if doubts and any(metric.status == "exceeded" for metric in metrics):
        # The outputs were measured without the dictionary; what it found stays out of it.
        reason = "differences not judged: " + "; ".join(doubts)
        lacking = _unusable(result, budgets, unseen=False)
        return Verdict("exceeded", (), reason, metrics, lacking=lacking)
    # That weak signals are missed makes silence worthless, not what is found all the same.
    if not doubts and _any_exceeded(sides, metrics):
        return Verdict("exceeded", sides, "", metrics)
    if unseen and not doubts and (large := large_change(result)):
        reason = f"{TOO_FAR_APART}: {large}"
        return Verdict("exceeded", sides, reason, metrics, too_far_apart=True)
    unmeasured = [
        f"{m.name} was not measured ({m.origin}): {m.reason}"
        for m in metrics
        if m.status == "unmeasured"
    ]
    if doubts or unseen or unmeasured:
        reason = "; ".join([*doubts, *unseen, *unmeasured])
        by_dictionary = _unusable(result, budgets, unseen=bool(unseen))
        return Verdict(
            "insufficient",
            sides,
            reason,
            metrics,
            too_far_apart=not doubts and not unmeasured,
            lacking=(*by_dictionary, "metrics") if unmeasured else by_dictionary,
        )
    if any(m.status == "undecided" for m in metrics):
        return Verdict("inconclusive", sides, "", metrics)
    if any(x.undecided for x in sides):
        return Verdict("inconclusive", sides, "", metrics, too_far_apart=is_distant(result))
    return Verdict("within", sides, "", metrics)


def compute_equivalence(result: Result, budgets: Budgets) -> Verdict:
    """Whether every metric is shown to be inside its limit: exceeded where one is not, be it that
    too little text leaves it open.
    """
    metrics = tuple(check_metric(result, limit) for limit in budgets.metrics)
    unmeasured = [f"{m.name} was not measured: {m.reason}" for m in metrics if m.value is None]
    if unmeasured:
        return Verdict("insufficient", (), "; ".join(unmeasured), metrics, lacking=("metrics",))
    shown = all(metric.status == "within" for metric in metrics)
    return Verdict("within" if shown else "exceeded", (), "", metrics)


def _any_exceeded(sides: tuple[SideVerdict, ...], metrics: tuple[MetricCheck, ...]) -> bool:
    return any(x.exceeded for x in sides) or any(m.status == "exceeded" for m in metrics)


def is_small(difference: Difference, least: float) -> bool:
    """Whether a difference is shown to change what is said in less than this share of the answers:
    the whole 95 % interval is below.
    """
    changed = difference.changed_replies
    return changed is not None and changed.high < least


def _side(result: Result, counted: Result, side: Side, limits: Limits) -> SideVerdict:
    """counted: the result without what is too small to count."""
    possible = counted.of(side, "possible")
    strength = counted.total_strength(side)
    of_side = sum(difference.side == side for difference in result.differences)
    return SideVerdict(
        side=side,
        count=len(counted.of(side)),
        possible=len(possible),
        strength=strength,
        possible_strength=strength + sum(d.strength for d in possible),
        limits=limits,
        small=of_side - len(counted.of(side)) - len(possible),
    )


def _unusable(result: Result, budgets: Budgets, *, unseen: bool) -> tuple[Evidence, ...]:
    """Which of what the verdict on differences needs cannot be used.  unseen: whether planted
    signals were missed.
    """
    poor = any(not result.model(side).fve >= budgets.min_fve for side in SIDES)
    null = result.controls.null
    controls = unseen or (null is not None and null.found > 0)
    return (*(("dictionary",) if poor else ()), *(("controls",) if controls else ()))


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
        if planted and budgets.limits(side) and result.controls.insensitive(side):
            yield f"planted signals of strength {max(planted):g} in the {side} were not detected"
