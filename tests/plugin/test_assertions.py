"""What a test can assert of a measured pair."""

from __future__ import annotations

import dataclasses
import re

import pytest

from pytest_crossdiff.errors import BudgetExceeded, InsufficientData, SettingsError
from pytest_crossdiff.plugin.diff import CrossDiff
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.results.controls import Controls, NullControl, PlantedSignal
from pytest_crossdiff.results.population import JudgedModel, Population, ReferenceModel
from pytest_crossdiff.settings import Settings
from support.results import make_context, make_difference, make_model, make_result

REFUSAL = make_difference(
    "C1",
    strength=0.02,
    tokens=(" cannot",),
    contexts=(make_context(" cannot", "I", " help with that"),),
)
KUBECTL = make_difference("C2", strength=0.01, tokens=(" kubectl",))
LOST = make_difference("B1", "baseline", strength=0.03, tokens=("écrire",))
RESULT = make_result(REFUSAL, KUBECTL, LOST)


def diff(**settings):
    return CrossDiff(Report.of(RESULT), Settings(**settings))


def test_the_differences_of_each_side_are_at_hand():
    assert diff().candidate_only == (REFUSAL, KUBECTL)
    assert diff().baseline_only == (LOST,)


def test_it_is_short_in_a_traceback():
    pair = diff(baseline="org/old", candidate="org/new")
    assert repr(pair) == "<CrossDiff org/old -> org/new: 2 candidate-only, 1 baseline-only>"


def test_both_sides_within_their_budgets_pass():
    diff(max_candidate_only=2, max_baseline_only=1).assert_within_budget()


@pytest.mark.parametrize(
    "settings",
    [
        {"max_candidate_only": 1, "max_baseline_only": 1},
        {"max_candidate_only": 2, "max_baseline_only": 0},
        {"max_candidate_only": 2, "max_baseline_only": 1, "max_candidate_only_strength": 0.02},
        {"max_candidate_only": 2, "max_baseline_only": 1, "max_baseline_only_strength": 0.02},
    ],
)
def test_either_side_over_either_budget_fails(settings):
    with pytest.raises(BudgetExceeded):
        diff(**settings).assert_within_budget()


def test_one_side_is_held_against_the_limits_given():
    diff().assert_candidate_only(max_count=2, max_strength=0.03)
    diff().assert_baseline_only(max_count=1, max_strength=0.03)
    with pytest.raises(BudgetExceeded):
        diff().assert_candidate_only(max_count=1)
    with pytest.raises(BudgetExceeded):
        diff().assert_baseline_only(max_strength=0.02)


def test_a_limit_left_out_is_no_limit_when_the_other_is_given():
    diff().assert_candidate_only(max_strength=0.5)
    diff(max_candidate_only_strength=0.0).assert_candidate_only(max_count=5)


def test_without_limits_those_of_the_settings_hold():
    diff(max_candidate_only=2).assert_candidate_only()
    with pytest.raises(BudgetExceeded):
        diff(max_candidate_only=1).assert_candidate_only()


@pytest.mark.parametrize(
    ("pattern", "side", "found"),
    [
        ("cannot", "candidate", ["C1"]),
        ("I cannot help", "candidate", ["C1"]),
        (re.compile("CANNOT", re.IGNORECASE), "candidate", ["C1"]),
        ("^ kubectl$", "candidate", ["C2"]),
        ("cannot", "baseline", []),
        ("écrire", "baseline", ["B1"]),
        ("écrire|cannot", "both", ["B1", "C1"]),
        ("never written", "both", []),
    ],
)
def test_a_pattern_is_searched_in_tokens_and_contexts_of_the_side(pattern, side, found):
    if not found:
        diff().assert_no_feature(pattern, side)
        return
    with pytest.raises(BudgetExceeded) as caught:
        diff().assert_no_feature(matching=pattern, side=side)
    listed = re.findall(r"^ *([BC]\d) ", str(caught.value), re.MULTILINE)
    assert sorted(set(listed)) == found


def test_a_bad_pattern_is_an_error():
    with pytest.raises(SettingsError, match=r"matching = '\(' is not a regular expression"):
        diff().assert_no_feature("(")


def test_a_bad_side_is_an_error():
    with pytest.raises(SettingsError, match="side = 'new' is not a side"):
        diff().assert_no_feature("x", side="new")


@pytest.mark.parametrize(
    "ask",
    [
        lambda d: d.assert_within_budget(),
        lambda d: d.assert_candidate_only(max_count=9),
        lambda d: d.assert_baseline_only(max_count=9),
        lambda d: d.assert_no_feature("never written"),
    ],
)
def test_no_assertion_holds_of_a_poor_measurement(ask):
    report = Report.of(make_result(baseline=make_model(fve=0.1)))
    poor = CrossDiff(report, Settings(min_fve=0.3))
    with pytest.raises(InsufficientData, match=r"no verdict: the dictionary explains 0\.100"):
        ask(poor)


def test_each_verdict_is_told():
    told = []
    measured = CrossDiff(Report.of(RESULT), Settings(), on_check=told.append)
    measured.assert_candidate_only(max_count=2)
    with pytest.raises(BudgetExceeded):
        measured.assert_within_budget()
    assert [verdict.status for verdict in told] == ["within", "exceeded"]


def test_too_few_references_are_to_blame_where_only_they_stand_in_the_way():
    few = Population(
        (ReferenceModel("org/one", largest=2.0, loss=1.0),),
        9_000,
        300,
        280,
        (JudgedModel("candidate", 1, 2.0, 3.0, ()), JudgedModel("baseline", 1, 2.0, 3.0, ())),
    )
    pair = CrossDiff(
        Report.of(dataclasses.replace(make_result(), population=few)),
        Settings(references=("org/one",), reference_level=0.2),
    )
    with pytest.raises(InsufficientData) as caught:
        pair.assert_within_budget()
    assert "crossdiff_reference_level = 0.2 needs 4, 3 more" in str(caught.value)
    assert "from: crossdiff_references" in str(caught.value)
    assert "min_fve" not in str(caught.value)


@pytest.mark.parametrize(
    "controls",
    [
        Controls(null=NullControl(1, 64, 100)),
        Controls((PlantedSignal("candidate", 0.01, 0.01, 0.01, 0.0),)),
    ],
)
def test_a_control_that_failed_is_no_matter_of_the_variance_explained(controls):
    result = dataclasses.replace(make_result(), controls=controls)
    with pytest.raises(InsufficientData) as caught:
        CrossDiff(Report.of(result), Settings()).assert_within_budget()
    assert caught.value.source == "crossdiff_controls"
    assert caught.value.remedy.startswith("read more text (crossdiff_tokens, more documents)")
    assert "min_fve" not in str(caught.value)


def test_everything_that_stands_in_the_way_is_told_with_its_remedy():
    poor = make_result(baseline=make_model(fve=0.1))
    settings = Settings(references=("org/one",), min_fve=0.3, max_kl=0.1)
    with pytest.raises(InsufficientData) as caught:
        CrossDiff(Report.of(poor), settings).assert_within_budget()
    told = str(caught.value)
    for what, remedy in (
        ("the dictionary explains 0.100", "lower crossdiff_min_fve"),
        ("KL divergence (nats a token) was not measured", "set crossdiff_metrics = true"),
        ("not judged by the references", "name more references"),
    ):
        assert what in told
        assert remedy in told


def test_evidence_is_told_by_what_is_missing_and_not_by_words_of_the_reason():
    """A reason may quote anything, also how another reason begins."""
    result = dataclasses.replace(
        make_result(), no_output="not judged by the references: the outputs differ"
    )
    with pytest.raises(InsufficientData) as caught:
        CrossDiff(Report.of(result), Settings(max_kl=0.1)).assert_within_budget()
    assert "set crossdiff_metrics = true" in str(caught.value)
    assert "name more references" not in str(caught.value)
