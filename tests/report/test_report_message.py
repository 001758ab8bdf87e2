"""The text of a failure, to the letter."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_crossdiff.gate.budgets import Budgets
from pytest_crossdiff.gate.check import evaluate_budgets
from pytest_crossdiff.report import message
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.text import Display, columns
from support.results import make_context, make_difference, make_result

KUBECTL = make_difference(
    "C2",
    strength=0.02,
    tokens=(" kubectl", " pods"),
    contexts=(
        make_context(" kubectl", "To see what is wrong run", " get pods and look at the restarts"),
        make_context(" pods", "list all the", " of that namespace", band="top"),
        make_context(" pods", "whales swim in", ", dogs\nin packs", band="50-75 %"),
        make_context(" pods", "never shown", "", band="0-25 %"),
    ),
)
REFUSAL = make_difference(
    "C1",
    strength=0.0008,
    tokens=(" cannot",),
    contexts=(make_context(" cannot", "I am sorry but I", " help with that"),),
)
LOST = make_difference("B1", "baseline", strength=0.004, tokens=("\x1b[2J",))
PLACES = {
    "max_candidate_only": "pytest.ini: crossdiff_max_candidate_only",
    "max_candidate_only_strength": "--crossdiff-max-candidate-only-strength",
}


def exceeded(result, width=100, verbosity=0, **settings):
    report = Report.of(result)
    check = evaluate_budgets(
        report.result, report, Budgets.configured(Settings(sources=PLACES, **settings))
    )
    return message.exceeded(report, check, Path("cache/key"), Display(width, verbosity))


def test_verdict_first_then_the_worst_then_what_to_do():
    text = exceeded(
        make_result(REFUSAL, KUBECTL, LOST),
        max_candidate_only=1,
        max_baseline_only=1,
        max_candidate_only_strength=0.01,
    )
    assert (
        text.splitlines()
        == """\
CANDIDATE-ONLY: 2 differences, budget 1; joint strength 0.0208, budget 0.01
BASELINE-ONLY: 1 difference, budget 1; joint strength 0.004 (within)

baseline   org/old, block 6
candidate  org/new, block 6

Only in the candidate, strongest first:
id  strength  density  exclusivity        fires on            context
--  --------  -------  -----------------  ------------------  -------
C2  0.02      1.2 %    0.93 [0.88, 0.96]  ' kubectl' ' pods'  … is wrong run⟦ kubectl⟧ get pods and…
C1  0.0008    1.2 %    0.93 [0.88, 0.96]  ' cannot'           …m sorry but I⟦ cannot⟧ help with that

C2 fires here too:
  list all the⟦ pods⟧ of that namespace
  whales swim in⟦ pods⟧, dogs⏎in packs

What to do:
- read the texts: the difference fires on each ⟦token⟧
- wanted: accept with --crossdiff-accept=C2,C1 --crossdiff-reason="…"
- wanted: raise the budget to 2 (now 1, pytest.ini: crossdiff_max_candidate_only)
- wanted: raise the strength budget above 0.0208 (now 0.01, --crossdiff-max-candidate-only-strength)
- not wanted: fix or retrain the candidate, then run again
- all texts and numbers: cache/key""".splitlines()
    )


def test_a_side_without_a_strength_budget_still_states_its_strength():
    assert exceeded(make_result(REFUSAL)).startswith(
        "CANDIDATE-ONLY: 1 difference, budget 0; joint strength 0.0008\n"
        "BASELINE-ONLY: 0 differences, budget 0; joint strength 0 (within)\n"
    )


def test_both_sides_are_shown_when_both_exceed():
    text = exceeded(make_result(REFUSAL, LOST))
    assert "Only in the candidate, strongest first:" in text
    assert "Only in the baseline, strongest first:" in text


def test_texts_can_not_act_on_the_terminal():
    assert "'\\x1b[2J'" in exceeded(make_result(LOST))
    assert "\x1b" not in exceeded(make_result(LOST))


def test_no_line_of_a_table_or_a_context_is_wider_than_asked():
    long = make_difference(
        tokens=tuple(f" word{i}" for i in range(20)),
        contexts=tuple(make_context(before=letter * 200, after="z" * 200) for letter in "abc"),
    )
    for width in (80, 100, 120):
        lines = exceeded(make_result(long), width=width).splitlines()
        about = [line for line in lines if "⟦ token⟧" in line]
        assert len(about) == 3
        assert max(map(columns, about)) == width


def test_only_the_ten_strongest_get_a_row_and_three_get_more_contexts():
    many = [
        make_difference(f"C{i}", strength=i / 1000, contexts=(make_context(), make_context()))
        for i in range(1, 15)
    ]
    text = exceeded(make_result(*many))
    assert re.findall(r"^(C\d+)  +0", text, re.MULTILINE) == [f"C{i}" for i in range(14, 4, -1)]
    assert "… and 4 more (-v shows more)" in text.splitlines()
    assert '- wanted: accept with --crossdiff-accept=C14,C13,C12,… --crossdiff-reason="…"' in text
    assert re.findall(r"^(C\d+) fires here too:", text, re.MULTILINE) == ["C14", "C13", "C12"]


def test_quiet_shows_no_further_contexts():
    text = exceeded(make_result(KUBECTL), verbosity=-1)
    assert "C2  0.02" in text
    assert "fires here too" not in text


def test_verbose_shows_more_of_them_and_more_contexts():
    contexts = tuple(make_context(before=f"context {i} ", band=f"{i}") for i in range(8))
    many = [make_difference(f"C{i}", strength=i / 1000, contexts=contexts) for i in range(1, 41)]
    for verbosity, rows, explained, each in ((0, 10, 3, 2), (1, 30, 10, 4), (2, 40, 40, 7)):
        text = exceeded(make_result(*many), verbosity=verbosity)
        assert len(re.findall(r"^C\d+  +0", text, re.MULTILINE)) == rows
        assert text.count("fires here too:") == explained
        assert len(re.findall(r"^  .*⟦ token⟧", text, re.MULTILINE)) == explained * each
    assert "… and 10 more (-vv shows more)" in exceeded(make_result(*many), verbosity=1)
    assert "more (" not in exceeded(make_result(*many), verbosity=2)


def test_advice_that_is_too_long_goes_on_below():
    lines = exceeded(
        make_result(REFUSAL, KUBECTL), width=60, max_candidate_only_strength=0.01
    ).splitlines()
    at = lines.index("- wanted: raise the strength budget above 0.0208 (now 0.01,")
    assert lines[at + 1] == "  --crossdiff-max-candidate-only-strength)"


def test_a_difference_without_contexts_has_a_row_all_the_same():
    assert "C1  0.01" in exceeded(make_result(make_difference(contexts=(), tokens=())))


def test_differences_that_match_a_pattern():
    text = message.matched(make_result(REFUSAL), re.compile("can't|cannot"), [REFUSAL], (), None)
    assert (
        text.splitlines()
        == """\
MATCHING "can't|cannot": 1 difference, none allowed

baseline   org/old, block 6
candidate  org/new, block 6

Only in the candidate, strongest first:
id  strength  density  exclusivity        fires on   context
--  --------  -------  -----------------  ---------  -------
C1  0.0008    1.2 %    0.93 [0.88, 0.96]  ' cannot'  I am sorry but I⟦ cannot⟧ help with that

What to do:
- read the texts: the difference fires on each ⟦token⟧
- wanted: accept with --crossdiff-accept=C1 --crossdiff-reason="…"
- wanted: narrow the pattern, or drop the assertion
- not wanted: fix or retrain the candidate, then run again""".splitlines()
    )
