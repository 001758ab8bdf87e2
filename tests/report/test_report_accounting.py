"""How much of the output's change is explained, in every form that tells of a comparison."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pytest_crossdiff.gate.budgets import Budgets
from pytest_crossdiff.gate.check import evaluate_budgets
from pytest_crossdiff.report import message
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.screen.pointers import Pointers
from pytest_crossdiff.report.write import render
from pytest_crossdiff.results.accounting import Accounting, UnexplainedSlice
from pytest_crossdiff.results.difference import Said
from pytest_crossdiff.results.wording import describe_accounting
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.text import Display
from support.results import make_difference, make_output, make_result

SENTENCE = (
    "Of the output's change (KL) 46 % lies where confirmed differences fire, 24 % is that the "
    "candidate is more confident (temperature 1.4) in what both models say, 30 % is unexplained"
)
PLACE = "baseline ' of' (61 %), candidate 'I' (72 %) after …Can you tell me which"


def result(unexplained: float = 0.3, temperature: float = 1.4):
    output = dataclasses.replace(
        make_output(), temperature=temperature, tempered_kl=make_output().kl
    )
    accounting = Accounting(
        differences=0.46,
        confidence=0.54 - unexplained,
        unexplained=unexplained,
        positions=output.largest,
        slices=(UnexplainedSlice("chat", 0.02, 0.4), UnexplainedSlice("code", 0.001, 0.1)),
    )
    said = Said(" Oslo", " is", 0.5, " was", 0.75, 3, 4)
    difference = dataclasses.replace(make_difference("C1"), said=said, kl_share=0.46)
    return dataclasses.replace(make_result(difference, output=output), accounting=accounting)


POINTERS = Pointers(Path("cache/key"))


def exceeded(of, verbosity=1) -> str:
    report = Report.of(of)
    check = evaluate_budgets(report.result, report, Budgets.configured(Settings()))
    return message.exceeded(report, check, POINTERS, Display(100, verbosity))


def test_the_sentence_says_whether_the_candidate_is_surer_or_less_sure():
    assert describe_accounting(result()) == SENTENCE
    assert "is less confident (temperature 0.8)" in describe_accounting(result(temperature=0.8))


def test_a_failure_says_in_short_where_much_is_unexplained():
    short = "30 % of the output's change is in none of these differences (-v shows where)"
    assert short in exceeded(result(), verbosity=0)
    assert "output's change is in none" not in exceeded(result(unexplained=0.1), verbosity=0)


def test_with_v_a_failure_begins_with_it_and_names_unexplained_places():
    text = exceeded(result())
    assert SENTENCE in " ".join(text.split())
    assert text.index("Of the output's") < text.index("Only in the candidate")
    assert f"  {PLACE}" in text.splitlines()
    assert "Unexplained by slice: chat 40 %, code 10 %" in text


def test_where_little_is_unexplained_no_places_are_listed():
    assert "Unexplained, most of it" not in exceeded(result(unexplained=0.1))


def test_markdown_has_it_above_the_differences():
    text = render(Report.of(result()), "md").decode()
    place = PLACE.replace("(", "\\(").replace(")", "\\)")
    assert text.index("30 % is unexplained") < text.index("Only in the candidate")
    assert f"- {place} (3.2 nats)" in text


def test_a_report_reads_back_with_it():
    report = Report.of(result())
    assert Report.from_json(report.to_json()) == report


def test_the_page_has_it_first_and_the_sentence_of_a_difference(opened):
    page = opened(Report.of(result()))
    text = page.page.inner_text("body")
    assert text.index("How much of the change is explained") < text.index("What differs")
    assert "the candidate is more confident (temperature 1.4) in what both models say" in text
    page.go("#/difference/C1")
    told = page.page.inner_text("p.said")
    assert told.startswith("After ‘ Oslo’ the candidate says ‘ was’ (75 %), the baseline ‘ is’")
    assert page.troubles == []
