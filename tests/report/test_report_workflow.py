"""Whether the model or the workflow has changed, wherever a result is shown."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.output.workflow import workflow_lines
from pytest_crossdiff.report.summary import PairSummary, from_json, to_json
from pytest_crossdiff.report.write import render
from pytest_crossdiff.results.output import Estimate
from pytest_crossdiff.results.workflow import DriftedSlice, Effects, FiringChange, Workflow
from pytest_crossdiff.text import Display
from support.results import make_result


def estimate(value, spread=0.01):
    return Estimate(value, value - spread, value + spread)


WORKFLOW = Workflow(
    reference="evals/2026-01.jsonl",
    reference_documents=60,
    documents=80,
    loss=Effects(estimate(0.1), estimate(0.4), estimate(-0.02), 0.48),
    kl=Effects(estimate(0.05), Estimate(0.0, 0.0, 0.0), estimate(0.03), 0.08),
    firing=(
        FiringChange("C1", "candidate", estimate(0.01), estimate(0.04), estimate(0.03)),
        FiringChange("C2", "candidate", estimate(0.02), estimate(0.02), estimate(0.0)),
    ),
    slices=(
        DriftedSlice("refunds", "texts", 0.5, 0.4, estimate(0.9, 0.2), 0.001),
        DriftedSlice("returns", "new", 0.0, 0.25, None, 0.002),
        DriftedSlice("orders", "share", 0.5, 0.2, estimate(0.1), 0.003),
    ),
)
SAID = {
    "model": "loss +0.1 [+0.09, +0.11], KL 0.05 [0.04, 0.06] nats a token",
    "workflow": "refunds (other texts, loss 0.9 [0.7, 1.1]), returns (new, 25 % of the documents "
    "instead of 0 %), orders (20 % of the documents instead of 50 %)",
    "together": "KL +0.03 [+0.02, +0.04] nats a token beyond the two; C1 fires on 4 % of the "
    "tokens instead of 1 %",
}


def report(workflow=WORKFLOW, reason=""):
    result = dataclasses.replace(make_result(), workflow=workflow, no_workflow=reason)
    return Report.of(result)


def plain(text):
    return " ".join(str(text).split())


def test_each_effect_is_a_line_of_the_summary_of_the_run(project, engine):
    engine.result = report().result
    project.makepyfile("def test_it(crossdiff): pass")
    lines = project.runpytest().outlines
    for name, words in SAID.items():
        at = next(i for i, line in enumerate(lines) if line.startswith(f"  {name} "))
        assert words in plain(" ".join(lines[at : at + 6])).replace(f"{name} ", "", 1)


@pytest.mark.parametrize("verbosity", [-1, 0, 1])
def test_a_message_has_them_at_its_top_within_its_width(verbosity):
    lines = workflow_lines(report().result, Display(80, verbosity))
    assert all(len(line) <= 80 for line in lines)
    assert all(words in plain(" ".join(lines)) for words in SAID.values())


def test_markdown_and_json_have_them():
    markdown = render(report(), "md").decode()
    assert "Since the last sign-off:" in markdown
    assert "- model: loss" in markdown
    assert "refunds" in markdown
    assert markdown.index("Since the last sign-off") < markdown.index("Variance explained")
    stored = json.loads(render(report(), "json"))["result"]["workflow"]
    assert stored["slices"][1] == {
        "name": "returns", "drift": "new", "reference": 0.0, "today": 0.25, "loss": None,
        "p_value": 0.002,
    }  # fmt: skip
    assert Report.from_json(report().to_json()) == report()
    (summary,) = from_json(to_json([PairSummary.of(report())]))
    assert [name for name, _ in summary.workflow] == ["model", "workflow", "together"]


def test_without_a_reference_corpus_nothing_is_said():
    nothing = report(workflow=None)
    assert workflow_lines(nothing.result, Display(100)) == []
    assert "sign-off" not in render(nothing, "md").decode()


def test_the_page_has_them_on_its_first_screen(opened):
    page = opened(report())
    text = plain(page.page.inner_text("main"))
    assert text.index("Since the last sign-off") < text.index("What differs")
    for words in ("the candidate instead of the baseline", "0.4 [0.39, 0.41]", "refunds", "new"):
        assert words in text
    why = plain(opened(report(workflow=None, reason="no tokens")).page.inner_text("main"))
    assert "Model and workflow were not told apart: no tokens" in why
