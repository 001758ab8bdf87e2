"""A verdict as plain data, also as an earlier version wrote it."""

from __future__ import annotations

from pytest_crossdiff.gate.budgets import Budgets, Limits
from pytest_crossdiff.gate.check import Check, SideCheck, evaluate_budgets
from pytest_crossdiff.gate.recognition import NONE_ACCEPTED
from pytest_crossdiff.results.result import build
from support.results import make_difference, make_result

SIDE = {
    "side": "candidate", "count": 2, "possible": 1, "strength": 0.3, "possible_strength": 0.4,
    "max_count": 1, "max_strength": None, "count_from": "pytest.ini", "strength_from": "",
    "over_count": True, "over_strength": False, "undecided": False,
}  # fmt: skip
CHECK = {"test": "test_it", "status": "exceeded", "passed": False, "reason": "", "sides": [SIDE]}


def test_what_an_earlier_version_did_not_know_says_nothing_of_the_models() -> None:
    """A report without them: no difference was too small to count, no model too far away."""
    check = build(Check, CHECK)
    assert check.sides[0].small == 0
    assert check.too_far_apart is False
    assert (check.advice, check.metrics, check.population, check.lacking) == ((), (), (), ())


def test_over_either_limit_is_exceeded() -> None:
    for count, strength in ((True, False), (False, True), (False, False)):
        side = build(SideCheck, SIDE | {"over_count": count, "over_strength": strength})
        assert side.exceeded is (count or strength)


def test_an_inconclusive_verdict_passes_only_where_that_is_asked_for() -> None:
    """One of three dictionaries has a difference, and none is allowed."""
    result = make_result(make_difference("C1", certainty="possible"))
    limits = Limits(0, None)
    budgets = Budgets(limits, limits, 0.3)
    found = evaluate_budgets(result, NONE_ACCEPTED, budgets)
    assert (found.status, found.passed) == ("inconclusive", False)
    assert evaluate_budgets(result, NONE_ACCEPTED, budgets, lenient=True).passed
