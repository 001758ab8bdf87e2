"""What a measurement made of conversations, on the terminal and in every form of the report."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pytest_crossdiff.report.conversations import conversation_notes
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.summary import PairSummary, from_json, to_json
from pytest_crossdiff.report.write import render
from pytest_crossdiff.results.conversations import ConversationFacts
from pytest_crossdiff.results.result import Result
from support.results import make_result

PLAIN = ConversationFacts(200, 0, 200, 0, 0, (), (0, 0))
NOTES = {
    "context_pairs": (1, "1 token pair of system and user turns not compared"),
    "repeated_pairs": (30, "30 token pairs not compared again: several conversations begin with"),
    "without_answer": (7, "7 of 200 conversations without an assistant's turn: all of their turns"),
    "dated": (("candidate",), "the candidate's chat template writes today's date: read as on 26"),
    "unplaced": ((0, 12), "12 characters of reasoning and tool calls not compared: the candidate"),
}


def result_of(facts: ConversationFacts | None) -> Result:
    result = make_result()
    return dataclasses.replace(
        result, corpus=dataclasses.replace(result.corpus, conversations=facts)
    )


@pytest.mark.parametrize("field", NOTES)
def test_each_thing_that_is_worth_knowing_is_one_sentence(field):
    value, words = NOTES[field]
    (note,) = conversation_notes(result_of(dataclasses.replace(PLAIN, **{field: value})))
    assert note.startswith(words)


def test_nothing_is_said_where_there_is_nothing_to_say():
    assert conversation_notes(result_of(PLAIN)) == conversation_notes(result_of(None)) == ()


def test_every_form_has_them():
    facts = dataclasses.replace(PLAIN, **{field: value for field, (value, _) in NOTES.items()})
    report = Report.of(result_of(facts))
    markdown = render(report, "md").decode()
    assert all(words in markdown for _, words in NOTES.values())
    stored = json.loads(render(report, "json"))["result"]["corpus"]["conversations"]
    assert stored["without_answer"] == 7
    assert Report.from_json(report.to_json()) == report
    (summary,) = from_json(to_json([PairSummary.of(report)]))
    assert summary.conversations == conversation_notes(report.result)


def test_they_are_told_at_the_end_of_a_run(project, engine):
    facts = dataclasses.replace(PLAIN, context_pairs=1200, dated=("baseline", "candidate"))
    engine.result = result_of(facts)
    project.makepyfile(test_it="def test_it(crossdiff): pass")
    project.runpytest("-v").stdout.fnmatch_lines(
        [
            "  chats           1200 token pairs of system and user turns not compared: *",
            "  chats           the baseline's chat template writes today's date: *",
            "  chats           the candidate's chat template writes today's date: *",
        ]
    )


def test_results_without_them_are_read():
    data = json.loads(make_result().to_json())
    del data["corpus"]["conversations"]
    assert Result.from_json(json.dumps(data)) == make_result()


def test_the_page_has_them(opened):
    facts = dataclasses.replace(PLAIN, **{field: value for field, (value, _) in NOTES.items()})
    page = opened(Report.of(result_of(facts)))
    page.unfold()
    (text,) = page.texts("main")
    assert "200, 200 token pairs where an answer begins" in text
    for words in ("1 token pair of system and user turns", "30 token pairs in beginnings",
                  "7 conversations without an assistant's turn",
                  "the chat template of the candidate writes today's date",
                  "12 characters of reasoning and tool calls by the candidate's chat"):  # fmt: skip
        assert words in text
    (text,) = opened(Report.of(make_result())).texts("main")
    assert "conversations" not in text
