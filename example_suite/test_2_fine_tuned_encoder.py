"""The encoder's fine-tune on operations text: the evals are content, the gate isn't.

The candidate is better at what it was tuned for, and every eval that the team has passes.  The gate
finds what no eval asks: the words of the trade, "pod" and "container" and "storage", no longer have
the directions of their own that they have in the model in use.  Everyday text is as it was.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from example_suite.embedding import embed, similarity
from pytest_crossdiff import BudgetExceeded

if TYPE_CHECKING:
    from pytest_crossdiff import CrossDiff, LoadedModel

pytestmark = pytest.mark.usefixtures("minilm", "minilm_sre")

PARAPHRASES = [
    ("The disk is almost full.", "There is hardly any space left on the drive."),
    ("The certificate expired last night.", "Since midnight the certificate is no longer valid."),
    ("We switched to the standby database.", "The database failed over to its replica."),
    ("My train was two hours late.", "The train arrived with a delay of two hours."),
    ("She baked a cake for his birthday.", "For his birthday he got a cake that she had made."),
    ("It will rain all weekend.", "Expect wet weather on Saturday and Sunday."),
]
ANSWERS = {
    "Why was my container killed?": "It was OOMKilled: it needed more memory than its limit.",
    "How do I undo a release?": "Roll the deployment back to the previous revision.",
    "When does the certificate run out?": "The TLS certificate is valid until the third of May.",
    "What should I cook tonight?": "There are lentils and carrots left, so make a soup.",
    "Who won the match?": "The visitors won by two goals to one.",
    "Is it cold outside?": "There was frost in the night, take a scarf.",
}


@pytest.fixture(params=["crossdiff_baseline", "crossdiff_candidate"])
def encoder(request: pytest.FixtureRequest) -> LoadedModel:
    return request.getfixturevalue(request.param)


def test_paraphrases_are_closer_than_other_sentences(encoder: LoadedModel) -> None:
    for (first, second), (other, _) in itertools.permutations(PARAPHRASES, 2):
        assert similarity(encoder, first, second) > similarity(encoder, first, other)


def test_each_question_finds_its_answer(encoder: LoadedModel) -> None:
    scores = embed(encoder, list(ANSWERS)) @ embed(encoder, list(ANSWERS.values())).T
    assert scores.argmax(1).tolist() == list(range(len(ANSWERS)))


def test_the_candidate_is_better_at_its_trade(
    crossdiff_baseline: LoadedModel, crossdiff_candidate: LoadedModel
) -> None:
    pair = "the pod keeps crashing", "Init:CrashLoopBackOff"
    assert similarity(crossdiff_candidate, *pair) > similarity(crossdiff_baseline, *pair) + 0.3


@pytest.mark.crossdiff(corpus="texts/everyday.jsonl")
def test_gate_on_everyday_texts(crossdiff: CrossDiff) -> None:
    """What the candidate does differently on full stops, commas and articles is accepted, with a
    reason, in `crossdiff-accepted.json`; of the rest nothing has weight.
    """
    crossdiff.assert_candidate_only()
    crossdiff.assert_baseline_only(max_strength=0.005)


@pytest.mark.xfail(
    raises=BudgetExceeded, strict=True, reason="the words of the trade lost their own directions"
)
def test_gate(crossdiff: CrossDiff) -> None:
    crossdiff.assert_within_budget()


def test_the_gate_names_words_of_the_trade(crossdiff: CrossDiff) -> None:
    with pytest.raises(BudgetExceeded):
        crossdiff.assert_no_feature(
            matching=r"(?i)\b(pods?|containers?|storage)\b", side="baseline"
        )
    top = [difference.contexts[0].document for difference in crossdiff.baseline_only]
    assert top[0].startswith("operations-")
