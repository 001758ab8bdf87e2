"""What each report says where the two models don't read or write the same tokens."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pytest_crossdiff.gate.budgets import Budgets
from pytest_crossdiff.gate.check import evaluate_budgets
from pytest_crossdiff.gate.recognition import NONE_ACCEPTED
from pytest_crossdiff.report import message
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.markdown import markdown
from pytest_crossdiff.report.screen.block import block
from pytest_crossdiff.report.summary import PairSummary, from_json, to_json
from pytest_crossdiff.report.tokenizers import token_notes
from pytest_crossdiff.report.write import render
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.results.tokenizers import TokenComparison, TokenFacts
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.text import Display
from support.results import make_difference, make_result

BOS = TokenComparison(TokenFacts("<s>"), TokenFacts(""), True, 0.0)


def result(tokenizers, *differences):
    return dataclasses.replace(make_result(*differences), tokenizers=tokenizers)


@pytest.fixture
def report():
    return Report.of(result(BOS, make_difference()))


def plain(text):
    return " ".join(text.replace("\\", "").split())


CAUSE = "only the baseline's tokenizer adds a BOS token (<s>): differences may come from this alone"


def test_the_failure_message_names_the_cause_before_the_differences(report):
    budgets = Budgets.configured(Settings(max_candidate_only=0))
    check = evaluate_budgets(report.result, NONE_ACCEPTED, budgets)
    text = plain(message.exceeded(report, check, display=Display(100, 0)))
    assert CAUSE in text
    assert "copy tokenizer.json and tokenizer_config.json" in text
    assert text.index(CAUSE) < text.index("Only in the candidate")


def test_an_inconclusive_verdict_names_it_too():
    possible = Report.of(result(BOS, make_difference(certainty="possible")))
    budgets = Budgets.configured(Settings(max_candidate_only=0))
    check = evaluate_budgets(possible.result, NONE_ACCEPTED, budgets)
    assert check.status == "inconclusive"
    assert CAUSE in plain(message.inconclusive(possible, check, display=Display(100, 0)))


def test_the_summary_the_markdown_and_the_json_name_it(report, tmp_path):
    summary = from_json(to_json([PairSummary.of(report)]))[0]
    lines = list(block(summary, tmp_path, Display(100, 0)))
    assert CAUSE in plain(" ".join(lines))
    assert CAUSE in plain(markdown(report))
    data = json.loads(render(report, "json"))
    assert data["notes"][0].startswith(CAUSE)
    assert data["result"]["tokenizers"]["baseline"]["bos"] == "<s>"
    assert Report.from_json(json.dumps(data)).notes == report.notes


def test_a_result_of_before_says_nothing_of_tokens(report):
    data = json.loads(report.result.to_json())
    del data["tokenizers"]
    assert Result.from_json(json.dumps(data)).tokenizers is None
    assert token_notes(None) == ()


@pytest.mark.parametrize(
    ("shared", "expected"),
    [
        (0.9995, []),
        (0.97, ["the candidate gives 3 % of its probability to tokens that only it has ('<t>')"]),
    ],
)
def test_probability_on_tokens_of_one_model_alone_is_said_where_it_is_more_than_a_trace(
    shared, expected
):
    of = TokenComparison(
        TokenFacts("", 1.0), TokenFacts("", shared, ("<t>",)), True, 0.0, word_by_word=True
    )
    assert list(token_notes(of)) == expected


def test_predictions_that_are_not_compared_word_by_word_come_with_a_warning():
    of = TokenComparison(TokenFacts("", 0.6), TokenFacts("", 0.7), False, 0.4, word_by_word=False)
    assert "a word that is only exchanged for another one is not found" in token_notes(of)[-1]
