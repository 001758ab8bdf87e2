"""A pair among many in the summary of a run: short, and in words."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pytest_crossdiff.gate.check import Check, SideCheck
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.screen.few_lines import few_lines
from pytest_crossdiff.report.summary import PairSummary
from pytest_crossdiff.results.controls import Controls, PlantedSignal
from pytest_crossdiff.results.difference import Said
from pytest_crossdiff.results.replies import Share
from pytest_crossdiff.text import Display
from support.replies import refusing
from support.results import (
    make_difference,
    make_model,
    make_output,
    make_recognised,
    make_recognition,
    make_result,
)

RUNGS = (0.001, 0.002, 0.004, 0.008)
PLANTED = tuple(
    PlantedSignal(side, s, 0.01, factor * s, s)
    for side, factor in (("candidate", 1), ("baseline", 2))
    for s in RUNGS
)


def judged(side, count=0, possible=0, **given) -> SideCheck:
    """A side as a verdict has it, without a limit of strength."""
    check = SideCheck(side, count, possible, 0.02, 0.03, 0, None, "", "", count > 0, False, False)
    return dataclasses.replace(check, **given)


def lines(result, *sides, status="exceeded", width=100, **given) -> list[str]:
    checks = [Check("test_it", status, status == "within", "", sides)]
    report = Report.of(result, checks=checks, **given)
    return list(few_lines(PairSummary.of(report), Path("/"), Display(width, 0)))


def test_within_budget_are_two_lines_and_the_limit_is_that_of_the_less_certain_model():
    result = make_result(output=make_output(), replies=refusing(40, 12), controls=Controls(PLANTED))
    found = lines(result, judged("candidate", possible=27), judged("baseline"), status="within")
    limits = [result.controls.limit(side) or 0.0 for side in ("candidate", "baseline")]
    assert 0 < limits[0] < limits[1]
    assert found == [
        "within budget: org/old -> org/new, block 6 of 12, on builtin:pydoc; from cache",
        f"  candidate-only 0 and 27 possible; baseline-only 0; limit of detection {limits[1]:.3g}",
    ]


def test_a_budget_is_named_where_something_counts_against_it():
    strength = {"max_count": None, "max_strength": 0.15}
    (_, counts) = lines(
        make_result(), judged("candidate", 2, **strength), judged("baseline"), status="within"
    )
    assert counts == "  candidate-only 2, joint strength 0.02, budget 0.15; baseline-only 0"


def test_several_verdicts_on_a_side_are_each_counted_and_what_does_not_fit_goes_on_below():
    sides = judged("candidate", 2), judged("candidate", 2, max_count=3), judged("baseline", 1)
    found = lines(make_result(), *sides, width=60)
    assert found[1:3] == [
        "  candidate-only 2, budget 0; candidate-only 2, budget 3",
        "  baseline-only 1, budget 0",
    ]


def test_over_budget_says_how_the_models_differ_in_six_lines():
    said = Said(",", "I", 0.44, "As", 0.61, 9, 12)
    result = make_result(
        dataclasses.replace(make_difference("C1", strength=0.03), said=said),
        make_difference("C2", strength=0.02),
        make_difference("B1", "baseline", tokens=(" pod", " pods")),
        output=make_output(),
        replies=refusing(40, 12),
    )
    assert lines(result, judged("candidate", 2), judged("baseline", 1))[1:] == [
        "  candidate-only 2, budget 0; baseline-only 1, budget 0",
        "  output          KL 0.012 [0.01, 0.015] nats a token, same top token 94 % [92 %, 96 %]",
        "  replies         12 of 40 of the candidate's are surprising to the baseline, 12 differ",
        "  candidate       C1  After ',' the candidate says 'As' (61 %), the baseline 'I' (44 %)",
        "  baseline        B1  fires on ' pod' ' pods'; near the words word",
    ]


def test_of_one_model_alone_two_differences_are_named():
    found = (make_difference(f"C{n}", strength=0.1 / n) for n in range(1, 5))
    named = lines(make_result(*found), judged("candidate", 4))[2:]
    assert [line.split()[1] for line in named] == ["C1", "C2"]


def test_an_accepted_reason_is_cut_to_its_line():
    known = make_recognised("C1", reason="read it, and " + "nothing there matters, " * 9)
    result, accepted = make_result(make_difference("C1")), make_recognition(known)
    (line,) = lines(result, status="within", accepted=accepted)[2:]
    assert line.startswith(
        "  accepted        C1, c-00000001 (Ann, 2026-01-02: read it, and nothing"
    )
    assert len(line) == 100
    assert line.endswith("…")


def test_layers_that_differ_are_each_named():
    result = make_result(candidate=make_model("org/new", layer=4))
    assert lines(result)[0].startswith(
        "OVER BUDGET: org/old block 6 of 12 -> org/new block 4 of 12, "
    )


def test_planted_signals_that_were_not_found_are_said():
    missed = tuple(dataclasses.replace(signal, measured=0.0) for signal in PLANTED)
    (_, counts) = lines(make_result(controls=Controls(missed)), status="insufficient")
    assert counts == "  candidate-only 0; baseline-only 0; limit of detection unknown"


def test_of_models_with_different_tokenizers_and_of_an_archived_baseline():
    output = dataclasses.replace(make_output(), kl=None, same_top=None)
    unread = dataclasses.replace(refusing(40, 12), surprising_candidate=Share(0, 0))
    first, replies = lines(make_result(output=output, replies=unread), width=110)[2:]
    span = "log-probability of a span changes by 0.15 [0.14, 0.17] nats (RMS; different tokenizers)"
    assert first == f"  output          {span}"
    assert replies == (
        "  replies         12 of 40 differ, 0 of the baseline's are surprising to the candidate"
    )


def test_why_there_are_no_replies_is_said():
    result = make_result(no_replies="the baseline has no chat template")
    assert lines(result)[2:] == [
        "  replies         not compared: the baseline has no chat template"
    ]
