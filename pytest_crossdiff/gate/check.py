"""A verdict that was asked for, with its budgets and where they were set, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.gate.advice import advice
from pytest_crossdiff.gate.metric_budgets import MetricCheck
from pytest_crossdiff.gate.population import MORE_REFERENCES, PopulationCheck
from pytest_crossdiff.gate.recognition import without_accepted
from pytest_crossdiff.gate.verdict import Evidence, compute_equivalence, compute_verdict
from pytest_crossdiff.results.renamed import Renamed
from pytest_crossdiff.sides import Side

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_crossdiff.gate.budgets import Budgets
    from pytest_crossdiff.gate.recognition import AcceptanceLookup
    from pytest_crossdiff.gate.verdict import Verdict
    from pytest_crossdiff.results.result import Result


@dataclass(frozen=True)
class SideCheck:
    """What one side has that the other hasn't, against its limits; a limit of None is none.

    count, strength: of the confirmed differences, strength joint, 0 to 1.  possible: further
    differences; possible_strength: at most, with those.  count_from, strength_from: where each
    limit was set, in words.  undecided: within both limits, but not if what is possible were
    confirmed.  small: further differences that change what is said in too few answers to count.
    """

    side: Side
    count: int
    possible: int
    strength: float
    possible_strength: float
    max_count: int | None
    max_strength: float | None
    count_from: str
    strength_from: str
    over_count: bool
    over_strength: bool
    undecided: bool
    small: int = 0

    open = Renamed("undecided")

    @property
    def exceeded(self) -> bool:
        """Over either limit."""
        return self.over_count or self.over_strength


@dataclass(frozen=True)
class Check:
    """A verdict that a test asked for.

    test: its id, "" when it was asked for outside of a test.  status: as the gate words it, e.g.
    `"within"`, `"exceeded"`.  passed: the test didn't fail for it.  reason: more about the status,
    "" where the sides say it all.  advice: what would decide an inconclusive one.  metrics: of the
    output, against their limits.  population: each model that was judged by the references.
    lacking: the evidence that could not be used.  too_far_apart: the distance between the models
    kept the dictionary from a verdict.
    """

    test: str
    status: str
    passed: bool
    reason: str
    sides: tuple[SideCheck, ...]
    advice: tuple[str, ...] = ()
    metrics: tuple[MetricCheck, ...] = ()
    population: tuple[PopulationCheck, ...] = ()
    lacking: tuple[Evidence, ...] = ()
    too_far_apart: bool = False

    @classmethod
    def of(
        cls, verdict: Verdict, test: str = "", *, advice: Iterable[str] = (), lenient: bool = False
    ) -> Check:
        """`verdict` as plain data.  lenient: an inconclusive one passes."""
        sides = tuple(
            SideCheck(
                side=side.side,
                count=side.count,
                possible=side.possible,
                strength=side.strength,
                possible_strength=side.possible_strength,
                max_count=side.limits.max_count,
                max_strength=side.limits.max_strength,
                count_from=side.limits.count_from,
                strength_from=side.limits.strength_from,
                over_count=side.over_count,
                over_strength=side.over_strength,
                undecided=side.undecided,
                small=side.small,
            )
            for side in verdict.sides
        )
        passed = verdict.status == "within" or (lenient and verdict.status == "inconclusive")
        return cls(
            test,
            verdict.status,
            passed,
            verdict.reason,
            sides,
            tuple(advice),
            verdict.metrics,
            verdict.population,
            verdict.lacking,
            verdict.too_far_apart,
        )


def evaluate_equivalence(result: Result, budgets: Budgets) -> Check:
    """The verdict that the outputs are the same up to the budgets' limits."""
    return Check.of(compute_equivalence(result, budgets))


def evaluate_budgets(
    result: Result,
    accepted: AcceptanceLookup,
    budgets: Budgets,
    *,
    lenient: bool = False,
    command: str = "pytest --crossdiff",
) -> Check:
    """The verdict on `result` less what was accepted of it, with what would decide it.

    lenient: an inconclusive one passes.  command: runs the test, for the advice.
    """
    verdict = compute_verdict(result, budgets, accepted)
    undecided = verdict.status == "inconclusive"
    decide = advice(without_accepted(result, accepted), verdict, command) if undecided else ()
    if undecided and any(of.status == "undecided" for of in verdict.population):
        decide = (*decide, MORE_REFERENCES)
    return Check.of(verdict, advice=decide, lenient=lenient)
