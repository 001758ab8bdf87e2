"""Which compared predictions lie where a difference fires, and what both models say there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from pytest_crossdiff.engine.explanation.accounting import (
    _PIECE,
    Positions,
    account,
    accounting,
    conversations,
)
from pytest_crossdiff.results.replies import Share
from support.results import make_difference

if TYPE_CHECKING:
    from pytest_crossdiff.engine.activations.pairs import SideActivations
    from pytest_crossdiff.engine.explanation.contexts import HeldoutTokens

# Two pieces of four tokens that end at characters 2, 4, 6 and 8; each but the first is predicted.
PIECES = np.repeat([3, 7], 4)
ENDS = np.tile([2, 4, 6, 8], 2)
ROWS = np.arange(8)
KL = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
GROUPS = np.array([0, 0, 0, 1, 1, 1])
TEMPERED = np.array([1.5, 1.0, 1.0, 1.0, 2.0, 3.0])


@pytest.fixture
def of() -> SideActivations:
    harvest = SimpleNamespace(piece_n=PIECES, ends_n=ENDS)
    return cast("SideActivations", SimpleNamespace(harvest=harvest))


@pytest.fixture
def tokens() -> HeldoutTokens:
    return cast("HeldoutTokens", SimpleNamespace(names=["to", "be", "or", "not"] * 2))


@pytest.fixture
def positions() -> Positions:
    predicted = ENDS.reshape(2, 4)[:, 1:].ravel()
    return Positions(
        np.repeat([3, 7], 3) * _PIECE + predicted,
        predicted - 2,
        KL,
        TEMPERED,
        np.array(["a", "a", "a", "a", "b", "b"]),
        np.array(["a", "x", "x", "a", "y", "b"]),
        np.full(6, 0.5),
        np.array([0.9, 0.8, 0.6, 0.9, 0.7, 0.9]),
    )


def fires(*rows: int) -> np.ndarray:
    activation_n = np.zeros(8, dtype=np.float32)
    activation_n[list(rows)] = 1.0
    return activation_n


def test_a_pair_predicts_the_next_token_of_its_piece_and_the_last_one_none(of, positions):
    assert positions.behind(of, ROWS).tolist() == [0, 1, 2, -1, 3, 4, 5, -1]


def test_the_share_is_that_of_the_kl_where_it_fires(of, tokens, positions):
    (found,), covered_m = account(
        [make_difference("C1")], [fires(1, 2, 5)], of, ROWS, tokens, positions, GROUPS
    )
    assert found.kl_share == pytest.approx((2 + 3 + 5) / 21)
    assert covered_m.tolist() == [False, True, True, False, True, False]


def test_what_is_said_is_what_most_of_the_change_is(of, tokens, positions):
    """a against x: 2 + 3 nats at two places; b against y: 5 nats at one, after "be"."""
    heavier = positions._replace(kl_m=np.array([1.0, 2.0, 3.5, 4.0, 5.0, 6.0]))
    (found,), _ = account(
        [make_difference("C1")], [fires(1, 2, 5)], of, ROWS, tokens, heavier, GROUPS
    )
    said = found.said
    assert (said.baseline, said.candidate, said.positions, said.firing) == ("a", "x", 2, 3)
    assert said.candidate_probability == pytest.approx(0.7)
    (other,), _ = account([make_difference("C1")], [fires(5)], of, ROWS, tokens, heavier, GROUPS)
    assert (other.said.after, other.said.baseline, other.said.candidate) == ("be", "b", "y")


def test_words_that_neither_model_really_says_are_not_named(of, tokens, positions):
    unsure = positions._replace(p_a=np.full(6, 0.01), p_b=np.full(6, 0.02))
    (found,), _ = account([make_difference("C1")], [fires(1)], of, ROWS, tokens, unsure, GROUPS)
    assert found.said is None


def test_where_both_say_the_same_nothing_is_told_apart(of, tokens, positions):
    (found,), _ = account([make_difference("C1")], [fires(0)], of, ROWS, tokens, positions, GROUPS)
    assert found.said is None
    assert found.kl_share == pytest.approx(1 / 21)


def test_possible_differences_account_for_nothing_yet(of, tokens, positions):
    possible = make_difference("C1", certainty="possible")
    (found,), covered_m = account([possible], [fires(1)], of, ROWS, tokens, positions, GROUPS)
    assert not covered_m.any()
    assert found.kl_share == pytest.approx(2 / 21)


def test_faint_firing_is_no_firing(of, tokens, positions):
    activation_n = fires(1)
    activation_n[2] = 0.05
    (found,), _ = account(
        [make_difference("C1")], [activation_n], of, ROWS, tokens, positions, GROUPS
    )
    assert found.kl_share == pytest.approx(2 / 21)


@pytest.mark.parametrize(("rows", "count"), [((0, 3), 0), ((1, 2), 1), ((0, 1, 5), 2), ((4, 6), 0)])
def test_an_answer_is_changed_where_it_fires_and_the_words_differ(
    of, tokens, positions, rows, count
):
    """They differ at the second and third prediction of the first answer and the second of the
    other; nothing is predicted behind row 3.
    """
    (found,), _ = account(
        [make_difference("C1")], [fires(*rows)], of, ROWS, tokens, positions, GROUPS
    )
    assert found.changed_replies == Share(count, 2)


def test_running_text_has_no_answers_to_change(of, tokens, positions):
    nobody = np.full(6, -1)
    (found,), _ = account([make_difference("C1")], [fires(1)], of, ROWS, tokens, positions, nobody)
    assert found.changed_replies is None


def test_answers_are_counted_by_conversation(positions):
    answer, question = SimpleNamespace(answers=True), SimpleNamespace(answers=False)
    pieces = [SimpleNamespace(messages=())] * 3 + [SimpleNamespace(messages=(question, answer))]
    pieces += [SimpleNamespace(messages=(question,))] * 4
    found = conversations(positions, pieces, list(range(10, 18)))
    assert found.tolist() == [13, 13, 13, -1, -1, -1]


@pytest.fixture
def texts() -> tuple[list[SimpleNamespace], list[SimpleNamespace]]:
    """Pieces 3 and 7 are of two documents, one of each part."""
    pieces = [SimpleNamespace(shared_text="to be or", document=int(i > 3)) for i in range(8)]
    documents = [
        SimpleNamespace(id="first", group="first", part="orders"),
        SimpleNamespace(id="second", group="second", part="refunds"),
    ]
    return pieces, documents


def test_differences_confidence_and_the_rest_add_up_to_the_change(positions, texts):
    covered_m = np.array([False, True, False, False, False, True])
    found = accounting(positions, covered_m, *texts)
    assert found.differences == pytest.approx((2 + 6) / 21)
    assert found.unexplained == pytest.approx((1.5 + 1 + 1 + 2) / 21)
    assert found.confidence == pytest.approx((21 - 8 - 5.5) / 21)


def test_the_unexplained_positions_are_one_of_a_document_the_largest_first(positions, texts):
    found = accounting(positions, np.zeros(6, dtype=bool), *texts)
    assert [(p.document, p.kl) for p in found.positions] == [("second", 3.0), ("first", 1.5)]
    assert (found.positions[0].before, found.positions[0].token) == ("to be ", "or")
    assert (found.positions[0].baseline_top, found.positions[0].candidate_top) == ("b", "b")


def test_slices_stand_with_what_is_unexplained_of_each(positions, texts):
    found = accounting(positions, np.array([True, False, False, False, False, True]), *texts)
    shares = {s.name: s.unexplained for s in found.slices}
    assert shares == pytest.approx({"orders": 2 / 6, "refunds": 3 / 15})
    assert [s.name for s in found.slices] == ["orders", "refunds"]


def test_equal_predictions_have_nothing_to_account_for(positions, texts):
    same = positions._replace(kl_m=np.zeros(6), tempered_m=np.zeros(6))
    assert accounting(same, np.zeros(6, dtype=bool), *texts) is None
