"""Budgets on output metrics: what the interval says decides, in either direction."""

from __future__ import annotations

import dataclasses
import math

import pytest

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.gate.budgets import Budgets, Limits
from pytest_crossdiff.gate.check import evaluate_budgets, evaluate_equivalence
from pytest_crossdiff.gate.metric_budgets import (
    ARCHIVED,
    LARGE_KL,
    LARGE_SPAN_CHANGE,
    METRICS,
    SURPRISING,
    MetricLimit,
    check_metric,
    given_limits,
    large_change,
)
from pytest_crossdiff.gate.recognition import NONE_ACCEPTED
from pytest_crossdiff.gate.verdict import compute_verdict
from pytest_crossdiff.results.controls import Controls, PlantedSignal
from pytest_crossdiff.results.output import Estimate
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.settings.parsing import parse
from support.replies import make_replies, refusing
from support.results import make_difference, make_model, make_output, make_result

ANY = Limits(9, None)


def budgets(**limits: float) -> Budgets:
    metrics = tuple(MetricLimit(name, limit, "pytest.ini") for name, limit in limits.items())
    return Budgets(ANY, ANY, 0.3, "", metrics)


@pytest.mark.parametrize(
    ("limit", "status"),
    [(0.0099, "exceeded"), (0.0101, "inconclusive"), (0.0149, "inconclusive"), (0.015, "within")],
)
def test_the_whole_interval_of_kl_has_to_be_on_one_side_of_its_limit(limit, status):
    result = make_result(output=make_output(kl=(0.012, 0.01, 0.015)))
    assert compute_verdict(result, budgets(max_kl=limit)).status == status


@pytest.mark.parametrize(
    ("limit", "status"),
    [(0.97, "exceeded"), (0.95, "inconclusive"), (0.92, "within"), (0.9, "within")],
)
def test_the_same_top_token_has_a_limit_from_below(limit, status):
    result = make_result(output=make_output(same_top=(0.94, 0.92, 0.96)))
    assert compute_verdict(result, budgets(min_same_top=limit)).status == status


def test_identical_models_are_within_a_limit_of_zero():
    result = make_result(output=make_output(kl=(0.0, 0.0, 0.0)))
    assert compute_verdict(result, budgets(max_kl=0.0)).status == "within"


def test_what_is_not_a_number_is_never_within():
    result = make_result(output=make_output(kl=(math.nan, math.nan, math.nan)))
    assert compute_verdict(result, budgets(max_kl=5.0)).status != "within"


def test_without_an_interval_nothing_is_decided():
    result = make_result(output=make_output(kl=(0.001, None, None)))
    assert compute_verdict(result, budgets(max_kl=0.5)).status == "inconclusive"


def test_an_undecided_metric_advises_more_text():
    result = make_result(output=make_output())
    (advice,) = evaluate_budgets(result, NONE_ACCEPTED, budgets(max_kl=0.012)).advice
    assert advice.startswith("more held-out text")
    assert "the limit 0.012 of KL divergence" in advice


def test_a_budget_on_what_was_not_measured_carries_no_verdict():
    result = make_result(no_output="the baseline, BertModel, predicts no next token")
    verdict = compute_verdict(result, budgets(max_kl=0.1))
    assert verdict.status == "insufficient"
    assert verdict.reason == (
        "KL divergence (nats a token) was not measured (pytest.ini): the baseline, BertModel, "
        "predicts no next token"
    )
    assert compute_verdict(result, budgets()).status == "within"


def test_a_dictionary_that_explains_too_little_does_not_hide_an_exceeded_metric():
    """The outputs are measured without it."""
    poor = make_result(make_difference(), output=make_output(), candidate=make_model(fve=0.1))
    verdict = compute_verdict(poor, budgets(max_kl=0.001))
    assert verdict.status == "exceeded"
    assert verdict.sides == ()
    assert verdict.reason.startswith("differences not judged: the dictionary explains 0.100")
    assert verdict.lacking == ("dictionary",)
    assert compute_verdict(poor, budgets(max_kl=1.0)).status == "insufficient"


def drowned(output, *differences):
    """A pair between whose models no planted signal is found."""
    missed = Controls((PlantedSignal("candidate", 0.01, 0.01, 0.01, 0.0),))
    return make_result(*differences, controls=missed, output=output)


def test_models_too_different_for_planted_signals_are_over_budget_by_their_outputs():
    result = drowned(make_output(kl=(0.44, 0.4, 0.48)))
    verdict = compute_verdict(result, budgets())
    assert verdict.status == "exceeded"
    assert verdict.reason == (
        "the outputs differ too much for single differences to be found: KL divergence 0.44 nats "
        "a token, at least 0.4, where 0.1 is large"
    )


@pytest.mark.parametrize("output", [None, make_output(kl=(0.12, LARGE_KL, 0.2))])
def test_planted_signals_missed_between_models_that_say_nearly_the_same_are_no_verdict(output):
    verdict = compute_verdict(drowned(output), budgets())
    assert verdict.status == "insufficient"
    assert verdict.reason.startswith("planted signals of strength 0.01")


def test_between_tokenizers_a_large_change_of_spans_is_one():
    spans = dataclasses.replace(
        make_output(), unit="span", kl=None, same_top=None,
        log_probability_change_rms=Estimate(1.6, 1.5, 1.7),
    )  # fmt: skip
    assert compute_verdict(drowned(spans), budgets()).status == "exceeded"
    small = dataclasses.replace(spans, log_probability_change_rms=Estimate(0.5, 0.4, 0.6))
    assert compute_verdict(drowned(small), budgets()).status == "insufficient"


@pytest.mark.parametrize(
    ("limit", "status"), [(0.015, "within"), (0.0149, "exceeded"), (0.001, "exceeded")]
)
def test_equivalence_needs_the_upper_end_of_the_interval_inside(limit, status):
    result = make_result(output=make_output(kl=(0.012, 0.01, 0.015)))
    assert evaluate_equivalence(result, budgets(max_kl=limit)).status == status


def test_equivalence_of_several_metrics_needs_all():
    result = make_result(output=make_output())
    assert evaluate_equivalence(result, budgets(max_kl=0.1, min_same_top=0.9)).passed
    check = evaluate_equivalence(result, budgets(max_kl=0.1, min_same_top=0.99))
    assert not check.passed
    assert [metric.status for metric in check.metrics] == ["within", "exceeded"]


def test_equivalence_is_not_judged_by_differences():
    result = make_result(make_difference(), output=make_output())
    assert evaluate_equivalence(result, budgets(max_kl=0.1)).passed


def test_settings_become_limits_that_name_where_they_were_set():
    settings = Settings(
        max_kl=0.02, min_same_top=0.9, sources={"max_kl": "pytest.ini: crossdiff_max_kl"}
    )
    found = Budgets.configured(settings).metrics
    assert found == (
        MetricLimit("max_kl", 0.02, "pytest.ini: crossdiff_max_kl"),
        MetricLimit("min_same_top", 0.9, "default of crossdiff_min_same_top"),
    )


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        ({"max_kl": None}, "assert_equivalent was given no limit"),
        ({"max_kl": -0.1}, "max_kl = -0.1 is not valid"),
        ({"max_kl": math.nan}, "max_kl = nan is not valid"),
        ({"min_same_top": 97}, "min_same_top = 97 is not valid"),
        ({"max_kl": True}, "max_kl = True is not valid"),
        ({"max_kl": "0.1"}, "max_kl = '0.1' is not valid"),
    ],
)
def test_what_can_not_be_a_limit_is_refused(limits, what):
    with pytest.raises(SettingsError) as caught:
        given_limits(limits, "assert_equivalent")
    assert caught.value.what == what


def limits_of(**given):
    return given_limits({name: given.get(name) for name in METRICS}, "assert_equivalent")


@pytest.mark.parametrize("interval", [(None, 0.01), (0.0, None), (None, None)])
def test_without_both_ends_of_an_interval_nothing_is_decided(interval):
    result = make_result(output=make_output(kl=(0.005, *interval)))
    assert check_metric(result, MetricLimit("max_kl", 1.0, "")).status == "undecided"


def test_equivalence_is_not_known_where_nothing_was_measured():
    check = evaluate_equivalence(make_result(), budgets(max_kl=1.0))
    assert (check.status, check.passed, check.lacking) == ("insufficient", False, ("metrics",))


@pytest.mark.parametrize("name", METRICS)
def test_a_limit_in_a_test_may_be_what_its_setting_may_be(name):
    largest = METRICS[name].highest
    assert limits_of(**{name: largest})[0].limit == largest
    assert parse(name, str(largest), "pytest.ini") == largest
    assert limits_of(**{name: 0.0})[0].limit == 0.0
    for wrong in (-0.1, largest + 0.1):
        with pytest.raises(SettingsError) as caught:
            limits_of(**{name: wrong})
        assert caught.value.remedy == f"give a number from 0 to {largest:g}"
        with pytest.raises(SettingsError, match=f"must lie between 0 and {largest:g}"):
            parse(name, str(wrong), "pytest.ini")


@pytest.mark.parametrize(
    ("replies", "status", "reason"),
    [
        (make_result(), "unmeasured", "measured by an earlier version"),
        (make_result(no_replies="gone"), "unmeasured", "gone"),
        (make_result(replies=make_replies()), "unmeasured", ARCHIVED),
        (make_result(replies=refusing(40, 0)), "within", ""),
        (make_result(replies=refusing(40, 20)), "exceeded", ""),
    ],
)
def test_replies_that_were_not_compared_are_unmeasured(replies, status, reason):
    check = check_metric(replies, MetricLimit(SURPRISING, 0.2, "pytest.ini"))
    assert (check.status, check.reason) == (status, reason)


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (make_result(), "crossdiff_metrics = false, or measured by an earlier version"),
        (make_result(no_output="no head"), "no head"),
        (
            make_result(output=dataclasses.replace(make_output(), kl=None)),
            "the models have different tokenizers",
        ),
    ],
)
def test_why_a_metric_was_not_measured_is_told(result, reason):
    assert check_metric(result, MetricLimit("max_kl", 0.2, "")).reason == reason


def test_between_tokenizers_the_change_of_spans_is_what_is_large():
    """A small change has KL = (change of log p)^2 / 2 on average: 0.45 corresponds to 0.1."""
    assert pytest.approx(LARGE_KL, rel=0.02) == LARGE_SPAN_CHANGE**2 / 2

    def said(low):
        spans = dataclasses.replace(
            make_output(), kl=None, log_probability_change_rms=Estimate(0.6, low, 0.7)
        )
        return large_change(make_result(output=spans))

    assert said(0.45) == ""
    assert said(0.46) == "RMS change of log p 0.6 nats a span, at least 0.46, where 0.45 is large"


def test_outputs_that_are_not_known_or_alike_have_no_large_change():
    assert large_change(make_result()) == ""
    assert large_change(make_result(output=make_output(kl=(0.2, LARGE_KL, 0.3)))) == ""
    assert large_change(make_result(output=make_output(kl=(0.2, None, None)))) == ""
    large = large_change(make_result(output=make_output(kl=(0.2, 0.11, 0.3))))
    assert large == "KL divergence 0.2 nats a token, at least 0.11, where 0.1 is large"
