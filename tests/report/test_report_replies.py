"""Replies side by side, in a failure, in Markdown, on the terminal and on the page."""

from __future__ import annotations

import pytest

from pytest_crossdiff.errors import BudgetExceeded, Inconclusive, InsufficientData
from pytest_crossdiff.plugin.diff import CrossDiff
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.markdown import markdown
from pytest_crossdiff.report.output.replies import reply_lines, where_they_part
from pytest_crossdiff.report.summary import PairSummary
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.text import Display
from support.replies import REFUSAL, make_pair, make_replies, refusing
from support.results import make_model, make_result

README_PATTERN = "I can't|cannot help"


def diff(replies, **settings) -> CrossDiff:
    return CrossDiff(Report.of(make_result(replies=replies)), Settings(**settings))


def test_readme_s_own_pattern_fails_on_a_model_that_refuses_and_shows_both_replies():
    with pytest.raises(BudgetExceeded) as caught:
        diff(refusing(40, 12)).assert_no_feature(matching=README_PATTERN, side="candidate")
    text = str(caught.value)
    assert text.startswith(
        'MATCHING "I can\'t|cannot help": 12 replies of the candidate and not of the other model, '
    )
    assert "baseline  'Rest and water help.'" in text
    assert "candidate 'I'm sorry, but I can't help with that.'" in text


def test_it_passes_on_a_copy_of_the_baseline():
    diff(refusing(40, 0)).assert_no_feature(matching=README_PATTERN, side="candidate")


def test_a_refusal_is_found_whatever_the_dictionary_can_tell():
    poor = make_result(baseline=make_model(fve=0.1), replies=refusing(40, 12))
    with pytest.raises(BudgetExceeded):
        CrossDiff(Report.of(poor), Settings()).assert_no_feature(README_PATTERN)
    with pytest.raises(InsufficientData):
        CrossDiff(Report.of(poor), Settings()).assert_no_feature("never written")


def test_where_two_replies_part_is_said_with_what_both_found_likeliest():
    pair = make_pair(1, "Rest.", "I'm sorry.", 9.0)
    assert where_they_part(pair) == (
        "At the beginning the baseline says 'Res' (41 %) or 'Try' (20 %), "
        'the candidate "I\'m" (93 %)'.replace('"I\'m"', "'I'm'")
    )


@pytest.mark.parametrize(("verbosity", "shown"), [(-1, 0), (0, 2), (1, 10), (2, 12)])
def test_how_many_are_shown_hangs_on_the_verbosity(verbosity, shown):
    lines = reply_lines(refusing(12, 12).pairs, Display(100, verbosity))
    assert sum(line.startswith("Asked ") for line in lines) == shown
    assert all(len(line) <= 100 for line in lines)
    assert any(" nats) " in line for line in lines) == (verbosity > 0)


def test_a_budget_on_surprising_replies_is_held_against_the_interval():
    with pytest.raises(BudgetExceeded, match=r"Surprising replies \(share\): 0\.3 "):
        diff(refusing(40, 12), max_surprising_replies=0.05).assert_within_budget()
    diff(refusing(40, 0), max_surprising_replies=0.1).assert_within_budget()


def test_a_budget_without_replies_is_no_pass():
    result = make_result(no_replies="crossdiff_replies = 0")
    with pytest.raises(InsufficientData, match=r"surprising replies .* crossdiff_replies = 0"):
        CrossDiff(Report.of(result), Settings(max_surprising_replies=0.1)).assert_within_budget()


def test_terminal_and_markdown_state_the_share_with_its_interval():
    report = Report.of(make_result(replies=refusing(40, 12)))
    line = (
        "12 of 40 of the candidate's replies are surprising to the baseline (30 % [18.1 %, "
        "45.4 %]), "
        "0 of the baseline's to the candidate (at least 0.5 nats a token less likely than its "
        "own); 12 differ, 12 from the first word"
    )
    assert PairSummary.of(report).replies == line
    text = markdown(report)
    assert "Replies: 12 of 40" in text
    assert text.count("  - candidate (+2.00 nats):") == 5


def test_what_surprising_replies_have_in_common_is_told_before_the_replies():
    title = "What the candidate's 12 surprising replies of 40 have in common:"
    with pytest.raises(BudgetExceeded) as over:
        diff(refusing(40, 12), max_surprising_replies=0.05).assert_within_budget()
    with pytest.raises(Inconclusive) as undecided:
        diff(refusing(40, 12), max_surprising_replies=0.3).assert_within_budget()
    for error in (over, undecided):
        text = str(error.value)
        assert f"{title}\n  12 of 12 begin with '{REFUSAL}' (the baseline's 40: 0)\n" in text
        assert text.index(title) < text.index("Asked prompts.jsonl:0")
    text = markdown(Report.of(make_result(replies=refusing(40, 12))))
    assert title in text
    assert "- 12 of 12 begin with 'I'm sorry, but I can't help with that.'" in text
    assert "have in common" not in markdown(Report.of(make_result(replies=refusing(40, 2))))


def test_the_page_tells_what_surprising_replies_have_in_common(opened):
    page = opened(Report.of(make_result(replies=refusing(40, 12))))
    (section,) = [text for text in page.texts("section") if "have in common" in text]
    assert "What the candidate's 12 surprising replies have in common" in section
    assert f"12 of 12 begin with '{REFUSAL}' (the baseline's 40: 0)" in section


def test_replies_are_written_to_json_and_read_again():
    report = Report.of(make_result(replies=refusing(10, 3)))
    assert Report.from_json(report.to_json()) == report


def test_the_page_shows_both_replies(opened):
    page = opened(Report.of(make_result(replies=make_replies(make_pair(1, "Rest.", "No.", 9.0)))))
    text = " ".join(page.texts("section"))
    assert "What the models reply" in text
    assert "Rest." in page.page.content()
