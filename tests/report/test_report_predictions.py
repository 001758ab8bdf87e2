"""A comparison of what models predict, told: the output instead of a block, and what each says."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_crossdiff.cli.differences import select_differences, write_difference
from pytest_crossdiff.cli.terminal import Terminal
from pytest_crossdiff.gate.budgets import Budgets
from pytest_crossdiff.gate.check import evaluate_budgets
from pytest_crossdiff.gate.patterns import matching
from pytest_crossdiff.report import message
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.markdown import markdown
from pytest_crossdiff.report.screen.block import block
from pytest_crossdiff.report.screen.differences import SAID
from pytest_crossdiff.report.screen.pointers import Pointers
from pytest_crossdiff.report.summary import PairSummary
from pytest_crossdiff.results.difference import Description
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.text import Display
from support.results import make_difference, make_model, make_result

if TYPE_CHECKING:
    from pytest_crossdiff.results.result import Result
    from support.browser import Opened


def said(name: str, promoted: tuple[str, ...], suppressed: tuple[str, ...], **others):
    made = make_difference(name, tokens=(" United",), **others)
    description = Description(promoted=promoted, suppressed=suppressed)
    return dataclasses.replace(made, description=description)


def result(*, layer: int = 12) -> Result:
    old, new = (
        dataclasses.replace(make_model(name), layer=layer) for name in ("org/old", "org/new")
    )
    return make_result(
        said("C1", (" Nations",), (" States",), strength=0.02, kind="rewritten"),
        said("C2", (), (" of",), strength=0.004),
        said("C3", (" a", " b\x1b[2J"), (), strength=0.002),
        baseline=old,
        candidate=new,
    )


POINTERS = Pointers(Path("cache/key"))


def exceeded(of: Result) -> list[str]:
    report = Report.of(of)
    check = evaluate_budgets(report.result, report, Budgets.configured(Settings()))
    return message.exceeded(report, check, POINTERS, Display(100, 1)).splitlines()


def test_a_failure_says_what_is_said_instead_of_what():
    lines = exceeded(result())
    assert "baseline   org/old, output" in lines
    start = lines.index(SAID)
    assert lines[start + 1 : start + 4] == [
        "  C1  ' Nations' instead of ' States'",
        "  C2  other words instead of ' of'",
        r"  C3  ' a' ' b\x1b[2J'",
    ]


def test_of_a_block_nothing_of_the_kind_is_claimed():
    lines = exceeded(result(layer=6))
    assert "baseline   org/old, block 6 of 12" in lines
    assert SAID not in lines


def test_terminal_and_markdown_name_the_output():
    report = Report.of(result())
    first = block(PairSummary.of(report), Path.cwd(), Display(100, 0))
    assert next(iter(first)).endswith("org/old -> org/new, output")
    assert markdown(report).startswith("### crossdiff: org/old (output) → org/new (output)\n")


@pytest.mark.parametrize(("layer", "found"), [(12, ["C1"]), (6, [])])
def test_a_pattern_is_looked_for_in_what_is_said(layer, found):
    of = result(layer=layer)
    assert [d.id for d in matching(of, re.compile("Nations"), ("candidate",))] == found
    assert [d.id for d in select_differences(of, [], None, "Nations")] == found
    assert not matching(of, re.compile("States"), ("candidate",))  # what isn't said any more


def test_show_spells_it_out(capsys):
    report = Report.of(result())
    lines: list[str] = []

    class Written:
        write = lines.append

    write_difference(
        Terminal(Written(), colour=False, width=100), report.result.differences[0], report
    )
    text = "".join(lines)
    assert re.search(r"says +' Nations'", text)
    assert re.search(r"and not +' States'", text)


def test_the_page_names_the_output_and_the_words(opened: Opened):
    page = opened(Report.of(result()))
    (models,) = page.texts(".banner .models")
    assert models == "old output → new output"
    page.go("#/difference/C1")
    facts = " ".join(page.texts("dl"))
    assert "predicts there ‘ Nations’" in " ".join(facts.split())
    assert "the baseline instead ‘ States’" in " ".join(facts.split())
    headings = page.texts("h3")
    assert "What it predicts there, and the other model doesn't" in headings
    assert "What the other model predicts there instead" in headings
