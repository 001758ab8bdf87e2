"""The output metrics in every form: the same numbers, and where the predictions differ."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pytest_crossdiff.errors import BudgetExceeded, InsufficientData
from pytest_crossdiff.plugin.diff import CrossDiff
from pytest_crossdiff.report.ci.junit import properties
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.screen.block import block
from pytest_crossdiff.report.summary import PairSummary
from pytest_crossdiff.report.write import render
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.text import Display
from support.results import make_output, make_result


def diff(**settings: object) -> CrossDiff:
    given = Settings(baseline="org/old", candidate="org/new", **settings)
    result = make_result(output=make_output())
    return CrossDiff(Report.of(result, settings=given), given)


def summary(result) -> PairSummary:
    return PairSummary.of(Report.of(result))


def test_the_terminal_has_them_on_a_line(tmp_path):
    text = " ".join(" ".join(block(summary(make_result(output=make_output())), tmp_path)).split())
    assert "output KL 0.012 [0.01, 0.015] nats a token, 99th percentile 0.125" in text
    assert "same top token 94 % [92 %, 96 %], perplexity ratio 1.01 [0.99, 1.03]" in text
    assert "1300 tokens of 30 documents" in text


def test_where_there_are_none_the_reason_is_given(tmp_path):
    result = make_result(no_output="the baseline, BertModel, predicts no next token")
    lines = "\n".join(block(summary(result), tmp_path))
    assert "output          the baseline, BertModel, predicts no next token" in lines
    markdown = render(Report.of(result), "md").decode()
    assert (
        "Output metrics not measured: the baseline, BertModel, predicts no next token" in markdown
    )


def test_junit_has_the_numbers():
    found = dict(properties(summary(make_result(output=make_output()))))
    assert found["crossdiff.kl"] == "0.012"
    assert found["crossdiff.kl_high"] == "0.015"
    assert found["crossdiff.kl_p99"] == "0.125"
    assert found["crossdiff.same_top"] == "0.94"
    assert found["crossdiff.perplexity_ratio"] == "1.01"


def test_a_report_reads_back_with_its_metrics():
    report = Report.of(make_result(output=make_output()))
    assert Report.from_json(report.to_json()) == report


def test_a_report_of_before_has_none():
    report = Report.of(make_result())
    data = json.loads(report.to_json())
    for name in ("output", "no_output"):
        del data["result"][name]
    assert Report.from_json(json.dumps(data)) == report


def test_markdown_has_the_metrics_the_slices_and_the_positions():
    markdown = render(Report.of(make_result(output=make_output())), "md").decode()
    assert "| same top token | 94 % \\[92 %, 96 %\\] |" in markdown
    assert markdown.index("| chat | 20 | 0.02") < markdown.index("| code | 10 | 0.001")
    place = "- baseline ' of' \\(61 %\\), candidate 'I' \\(72 %\\) after …Can you tell me which"
    assert place in markdown


def test_over_budget_names_the_metric_its_limit_and_where_it_was_set():
    given = diff(max_kl=0.001, sources={"max_kl": "pytest.ini: crossdiff_max_kl"})
    given = dataclasses.replace(given, display=Display(100, 1))
    with pytest.raises(BudgetExceeded) as caught:
        given.assert_within_budget()
    first, *rest = str(caught.value).splitlines()
    assert first == (
        "KL divergence (nats a token): 0.012 [0.01, 0.015], at most 0.001 allowed (over budget)"
    )
    text = "\n".join(rest)
    assert "raise max_kl to 0.015 (now 0.001, pytest.ini: crossdiff_max_kl)" in text
    assert "KL by slice: chat 0.02, code 0.001" in text
    assert "baseline ' of' (61 %), candidate 'I' (72 %) after …Can you tell me which" in text
    assert "read the texts" not in text  # there is no difference to read
    assert max(map(len, rest)) <= 100


def test_equivalence_passes_on_evidence_alone():
    diff().assert_equivalent(max_kl=0.015)
    diff().assert_equivalent(max_kl=0.02, min_same_top=0.9, max_perplexity_ratio=1.05)
    with pytest.raises(BudgetExceeded) as caught:
        diff().assert_equivalent(max_kl=0.013)
    text = " ".join(str(caught.value).split())
    assert text.startswith(
        "NOT EQUIVALENT: KL divergence (nats a token): 0.012 [0.01, 0.015], at most 0.013 allowed "
        "(undecided: the limit lies inside the 95 % interval)"
    )
    assert "more held-out text decides it" in text
    assert "wanted: raise max_kl to 0.015 (now 0.013, max_kl of assert_equivalent)" in text


def test_equivalence_of_what_was_not_measured_is_an_error():
    settings = Settings(baseline="org/old", candidate="org/new")
    nothing = CrossDiff(Report.of(make_result(), settings=settings), settings)
    with pytest.raises(InsufficientData, match=r"KL divergence .* was not measured"):
        nothing.assert_equivalent(max_kl=1.0)


def test_the_page_holds_the_metrics():
    page = render(Report.of(make_result(output=make_output())), "html").decode()
    assert '"kl":{"value":0.012,"low":0.01,"high":0.015}' in page
