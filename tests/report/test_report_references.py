"""What references say of a pair, in a failure, in Markdown and on the page."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from pytest_crossdiff.errors import BudgetExceeded
from pytest_crossdiff.plugin.diff import CrossDiff
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.markdown import markdown
from pytest_crossdiff.results.population import (
    JudgedModel,
    Population,
    PopulationFeature,
    ReferenceModel,
)
from pytest_crossdiff.settings import Settings
from support.results import make_result

if TYPE_CHECKING:
    from collections.abc import Callable

    from support.browser import Opened

WORD = PopulationFeature(
    "writes 'harvest'", 0.138, 8.1, 0.00002, True, 0.03, 83, 83, (), 0.14, 0.002
)
TEXTS = PopulationFeature("on 'peace'", -1.3, -6.1, 0.0002, True, 0.9, 40, 31, ("in treaties",))
SETTINGS = Settings(references=("r0", "r1", "r2", "r3"))
HEADLINE = (
    "REFERENCES: the candidate differs from the 4 references in a way in which none of them "
    "differs from the others (deviation 8.1, largest of a reference 3): writes 'harvest' in 14 % "
    "of its continuations, the references in 0.2 % (z = 8.1); on 'peace' 1.3 nats less probable "
    "(z = -6.1)"
)


def report() -> Report:
    found = Population(
        tuple(
            ReferenceModel(f"r{i}", largest=2.0, loss=1.0, tokenizers=("candidate", "baseline"))
            for i in range(4)
        ),
        9_000,
        300,
        280,
        (
            JudgedModel("candidate", 4, 8.1, 3.0, (WORD, TEXTS)),
            JudgedModel("baseline", 4, 2, 3, ()),
        ),
        (),
        words=700,
        continuations=595,
    )
    return Report.of(dataclasses.replace(make_result(), population=found), settings=SETTINGS)


def test_a_failure_says_what_the_candidate_writes_and_how_often_the_references_do():
    with pytest.raises(BudgetExceeded) as caught:
        CrossDiff(report(), SETTINGS).assert_within_budget()
    lines = str(caught.value).splitlines()
    assert " ".join(" ".join(lines).split()).startswith(HEADLINE)
    at = lines.index("Where the candidate differs from the references, most first:")
    assert lines[at + 1].strip().startswith("writes 'harvest' in 14 % of its continuations, the r")
    assert "(z = 8.1), on 83 cont" in lines[at + 1]
    assert lines[at + 2].strip().startswith("on 'peace' 1.3 nats less probable (z = -6.1), on 40")


def test_markdown_says_it_too_and_what_was_looked_at():
    written = markdown(report())
    assert (
        "Reference models: 4 models, 280 features over 9000 spans of 300 documents, 700 words in "
        "595 continuations of each model" in written
    )
    assert "writes 'harvest' in 14 % of its continuations, the references in 0.2 %" in written


def test_the_page_has_shares_for_words_and_nats_for_texts(opened: Callable[..., Opened]):
    page = opened(report())
    page.unfold()
    rows = page.texts("section:has(h2:text('Against reference models')) tbody tr")
    word, texts = (row for row in rows if row.startswith(("writes", "on 'peace'")))
    assert word == (
        "writes 'harvest' 13.8 % 8.1 2e−5 significant 3 % 83 continuations "
        "14 % of its own, 0.2 % of the references'"
    )
    assert texts.startswith("on 'peace' -1.3 nats -6.1")
    assert texts.endswith("0.9 nats 40 spans of 31 documents the same spans: in treaties")
