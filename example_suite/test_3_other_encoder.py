"""A swap of everything at once: another architecture, width, vocabulary and training.

MiniLM, a BERT of width 384 that embeds sentences and ignores case, against quire, a DistilBERT of
width 768 that marks grammar errors and keeps case.  Tokens are matched by their place in the text.
Nobody expects nothing to change here, so the budget is one of strength, and the report is read for
what the change consists in: the candidate sees capital letters and the form of the verb, the
baseline had its own directions for what a text is about.

The two were trained separately: the best linear map between them leaves half of their variance, and
most of that may be the same information in another form. So hardly any difference is confirmed.
Possible differences make the verdict inconclusive if they could exceed the budget.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from example_suite import models

if TYPE_CHECKING:
    from pytest_crossdiff import CrossDiff

pytestmark = [
    pytest.mark.usefixtures("minilm", "quire_032"),
    pytest.mark.crossdiff(
        candidate=models.quire_032.folder, layer=0.5, corpus="texts/everyday.jsonl"
    ),
]


def test_nearly_every_token_is_compared(crossdiff: CrossDiff) -> None:
    assert crossdiff.result.baseline.token_coverage > 0.97
    assert crossdiff.result.candidate.token_coverage > 0.94


def test_gate(crossdiff: CrossDiff) -> None:
    crossdiff.assert_candidate_only(max_strength=0.15)
    crossdiff.assert_baseline_only(max_strength=0.15)


def test_only_the_candidate_sees_case(crossdiff: CrossDiff) -> None:
    def of_capitals(tokens: list[str]) -> bool:
        return sum(token[:1].isupper() for token in tokens) > len(tokens) / 2

    found = crossdiff.candidate_only + crossdiff.result.of("candidate", "possible")
    assert any(of_capitals([t.token for t in difference.tokens]) for difference in found)


def test_the_summary_says_that_they_are_far_apart(crossdiff: CrossDiff) -> None:
    for model in (crossdiff.result.baseline, crossdiff.result.candidate):
        assert model.unmapped > 0.35
        assert model.required_exclusivity > 0.9
