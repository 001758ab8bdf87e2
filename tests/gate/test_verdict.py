"""The verdict as a function of what was measured and what is allowed."""

from __future__ import annotations

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.gate.budgets import Budgets, Limits
from pytest_crossdiff.gate.check import Check
from pytest_crossdiff.gate.verdict import Verdict, compute_verdict, is_small
from pytest_crossdiff.results.controls import Controls, NullControl, PlantedSignal
from pytest_crossdiff.results.replies import Share
from pytest_crossdiff.settings import Settings
from support.results import make_difference, make_model, make_result

TWO = (make_difference("C1", strength=0.02), make_difference("C2", strength=0.01))


def budgets(count=0, strength=None, min_fve=0.3):
    limits = Limits(count, strength)
    return Budgets(limits, limits, min_fve)


def test_nothing_found_is_within_any_budget():
    assert compute_verdict(make_result(), budgets()).status == "within"


@pytest.mark.parametrize(("count", "status"), [(0, "exceeded"), (1, "exceeded"), (2, "within")])
def test_a_count_equal_to_the_budget_is_within_it(count, status):
    assert compute_verdict(make_result(*TWO), budgets(count)).status == status


@pytest.mark.parametrize(
    ("strength", "status"), [(0.029, "exceeded"), (0.03, "within"), (None, "within")]
)
def test_the_joint_strength_of_a_side_is_held_against_its_budget(strength, status):
    assert compute_verdict(make_result(*TWO), budgets(9, strength)).status == status


def test_joint_strength_is_measured_not_summed():
    result = make_result(*TWO, candidate_strength=0.02)
    assert compute_verdict(result, budgets(9, 0.025)).status == "within"


@pytest.mark.parametrize(
    ("limit", "status"),
    [(0.029, "exceeded"), (0.03, "inconclusive"), (0.034, "inconclusive"), (0.036, "within")],
)
def test_what_is_possible_is_added_to_the_strength_of_a_side(limit, status):
    possible = make_difference("C3", strength=0.005, certainty="possible")
    result = make_result(*TWO, possible, candidate_strength=0.03)
    verdict = compute_verdict(result, budgets(9, limit))
    assert verdict.status == status
    assert verdict.sides[0].possible_strength == pytest.approx(0.035)


def test_variance_explained_of_just_the_least_is_enough():
    just = make_result(baseline=make_model(fve=0.3), candidate=make_model(fve=0.3))
    assert compute_verdict(just, budgets(min_fve=0.3)).status == "within"
    poor = make_result(baseline=make_model(fve=0.3), candidate=make_model(fve=0.2999))
    assert compute_verdict(poor, budgets(min_fve=0.3)).lacking == ("dictionary",)


def test_each_side_has_its_own_budget():
    result = make_result(*TWO, make_difference("B1", "baseline"))
    verdict = compute_verdict(result, Budgets(Limits(2, None), Limits(0, None), 0.3))
    assert [side.side for side in verdict.sides] == ["candidate", "baseline"]
    assert [side.side for side in verdict.sides if side.exceeded] == ["baseline"]


def test_a_side_without_limits_is_not_judged():
    verdict = compute_verdict(make_result(*TWO), Budgets(None, Limits(0, None), 0.3))
    assert verdict.status == "within"
    assert [side.side for side in verdict.sides] == ["baseline"]


def test_a_dictionary_that_explains_too_little_of_either_model_carries_no_verdict():
    result = make_result(candidate=make_model(fve=0.29))
    verdict = compute_verdict(result, budgets(9))
    assert verdict.status == "insufficient"
    assert verdict.reason == (
        "the dictionary explains 0.290 of the candidate's variance, at least 0.3 needed"
    )


def test_too_little_explained_outweighs_an_exceeded_budget():
    result = make_result(*TWO, baseline=make_model(fve=0.0))
    assert compute_verdict(result, budgets()).status == "insufficient"


def test_what_is_not_a_number_never_passes():
    assert (
        compute_verdict(make_result(candidate_strength=math.nan), budgets(0, 0.5)).status
        == "exceeded"
    )
    assert (
        compute_verdict(make_result(baseline=make_model(fve=math.nan)), budgets()).status
        == "insufficient"
    )


@given(
    st.integers(0, 5),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 5),
    st.none() | st.floats(0, 1),
)
def test_a_larger_budget_never_fails_where_a_smaller_one_passes(found, joint, fve, count, strength):
    differences = [make_difference(f"C{i}") for i in range(found)]
    result = make_result(*differences, candidate_strength=joint, candidate=make_model(fve=fve))
    verdict = compute_verdict(result, budgets(count, strength))
    larger = compute_verdict(
        result, budgets(count + 1, None if strength is None else min(1, strength * 2))
    )
    assert not (verdict.status == "within" and larger.status != "within")
    assert compute_verdict(result, budgets(count, strength)) == verdict


def test_budgets_name_where_they_were_set():
    settings = Settings(
        max_candidate_only=2,
        sources={
            "max_candidate_only": "pytest.ini: crossdiff_max_candidate_only",
            "max_candidate_only_strength": "--crossdiff-max-candidate-only-strength",
            "max_baseline_only": "marker of test_it.py::test_it",
            "max_baseline_only_strength": "default",
        },
    )
    found = Budgets.configured(settings)
    assert found.candidate == Limits(
        2,
        None,
        "pytest.ini: crossdiff_max_candidate_only",
        "--crossdiff-max-candidate-only-strength",
    )
    assert found.baseline is not None
    assert found.baseline.count_from == "max_baseline_only, marker of test_it.py::test_it"
    assert found.baseline.strength_from == "default of crossdiff_max_baseline_only_strength"


@pytest.mark.parametrize(
    ("count", "strength", "what", "remedy"),
    [
        (-1, None, "max_count = -1 is not valid", "give a whole number, at least 0"),
        (1.5, None, "max_count = 1.5 is not valid", "give a whole number, at least 0"),
        (True, None, "max_count = True is not valid", "give a whole number, at least 0"),
        ("2", None, "max_count = '2' is not valid", "give a whole number, at least 0"),
        (None, -0.1, "max_strength = -0.1 is not valid", "give a number from 0 to 1"),
        (None, 1.1, "max_strength = 1.1 is not valid", "give a number from 0 to 1"),
        (None, math.nan, "max_strength = nan is not valid", "give a number from 0 to 1"),
    ],
)
def test_what_can_not_be_a_limit_is_refused(count, strength, what, remedy):
    with pytest.raises(SettingsError) as caught:
        Limits.given(count, strength, "assert_candidate_only")
    assert caught.value.what == what
    assert caught.value.source == "assert_candidate_only"
    assert caught.value.remedy == remedy


def spiked(*found: bool, null: int = 0) -> Controls:
    """Controls of which the strongest signals of the candidate were found, or not."""
    planted_signals = (
        PlantedSignal("candidate", 0.01, 0.01, 0.01, 0.01 if seen else 0.0) for seen in found
    )
    return Controls(tuple(planted_signals), NullControl(null, 100, 100))


def test_silence_means_nothing_where_planted_signals_are_missed():
    verdict = compute_verdict(make_result(controls=spiked(False)), budgets())
    assert verdict.status == "insufficient"
    assert verdict.reason == "planted signals of strength 0.01 in the candidate were not detected"
    assert compute_verdict(make_result(controls=spiked(False, True)), budgets()).status == "within"


def test_what_is_found_all_the_same_counts():
    """As between models that differ so much that the differences take all features."""
    result = make_result(*TWO, controls=spiked(False))
    assert compute_verdict(result, budgets()).status == "exceeded"
    assert compute_verdict(result, budgets(2)).status == "insufficient"


def test_nothing_counts_where_a_model_differs_from_itself():
    result = make_result(*TWO, controls=spiked(True, null=1))
    assert compute_verdict(result, budgets()).status == "insufficient"


@pytest.mark.parametrize(
    ("fve", "controls", "lacking"),
    [
        (0.3, spiked(False), ("controls",)),
        (0.3, spiked(True, null=1), ("controls",)),
        (0.2, spiked(True), ("dictionary",)),
        (0.2, spiked(False), ("dictionary", "controls")),
        (0.2, Controls(), ("dictionary",)),
    ],
)
def test_what_cannot_be_used_is_listed(fve, controls, lacking):
    result = make_result(candidate=make_model(fve=fve), controls=controls)
    verdict = compute_verdict(result, budgets())
    assert (verdict.status, verdict.lacking) == ("insufficient", lacking)


def changing(name: str, count: int, total: int = 100, **others: object):
    made = make_difference(name, **others)
    return dataclasses.replace(made, changed_replies=Share(count, total))


def test_a_difference_counts_where_the_interval_reaches_the_least_share():
    made = changing("C1", 25)
    high = made.changed_replies.high
    assert not is_small(made, high)
    assert is_small(made, math.nextafter(high, 1.0))


def least(share: float) -> Budgets:
    return dataclasses.replace(budgets(), min_changed_replies=share)


@pytest.mark.parametrize(("count", "status"), [(19, "within"), (25, "exceeded"), (52, "exceeded")])
def test_a_difference_that_changes_too_few_answers_does_not_count(count, status):
    """The interval of 19 in 100 ends at 0.28, that of 25 at 0.34."""
    verdict = compute_verdict(make_result(changing("C1", count)), least(0.3))
    assert verdict.status == status
    (candidate,) = (side for side in verdict.sides if side.side == "candidate")
    assert (candidate.count, candidate.small) == ((0, 1) if status == "within" else (1, 0))


def test_what_does_not_count_adds_nothing_to_the_joint_strength():
    found = changing("C1", 5, strength=0.02), changing("C2", 60, strength=0.01)
    result = make_result(*found, candidate_strength=0.03)
    allowed = dataclasses.replace(least(0.3), candidate=Limits(1, 0.01))
    assert compute_verdict(result, allowed).status == "within"
    every = dataclasses.replace(allowed, min_changed_replies=0.0)
    assert compute_verdict(result, every).status == "exceeded"


def test_possible_differences_that_change_too_few_answers_leave_nothing_undecided():
    result = make_result(changing("C1", 5, certainty="possible"))
    assert compute_verdict(result, least(0.3)).status == "within"
    assert compute_verdict(result, least(0.0)).status == "inconclusive"


def test_where_no_answers_were_compared_every_difference_counts():
    assert compute_verdict(make_result(*TWO), least(1.0)).status == "exceeded"


def test_every_difference_of_a_side_is_counted_possible_or_small():
    """Of four: one confirmed, two possible, one that changes too few answers to count."""
    few = dataclasses.replace(TWO[1], changed_replies=Share(0, 900))
    possible = [make_difference(f"C{n}", certainty="possible") for n in (3, 4)]
    result = make_result(TWO[0], few, *possible, make_difference("B1", "baseline"))
    asked = dataclasses.replace(budgets(9), min_changed_replies=0.05)
    side = compute_verdict(result, asked).sides[0]
    assert (side.count, side.possible, side.small) == (1, 2, 1)


@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_limits_of_one_side_leave_the_other_free(side):
    limits = Limits(0, None)
    asked = Budgets.of_side(Settings(), side, limits)
    other = "candidate" if side == "baseline" else "baseline"
    assert asked.limits(side) == limits
    assert asked.limits(other) is None


@pytest.mark.parametrize(
    ("status", "strict", "lenient"),
    [
        ("within", True, True),
        ("inconclusive", False, True),
        ("exceeded", False, False),
        ("insufficient", False, False),
    ],
)
def test_only_what_is_inconclusive_passes_leniently(status, strict, lenient):
    assert Check.of(Verdict(status, ())).passed is strict
    assert Check.of(Verdict(status, ()), lenient=True).passed is lenient


@pytest.mark.parametrize(
    ("count", "strength", "exceeded"), [(9, 1.0, False), (1, 1.0, True), (9, 0.01, True)]
)
def test_either_limit_alone_is_exceeded(count, strength, exceeded):
    limits = Limits(count, strength)
    check = Check.of(compute_verdict(make_result(*TWO), Budgets(limits, None, 0.3)))
    assert [side.exceeded for side in check.sides] == [exceeded]
    assert [side.small for side in check.sides] == [0]
