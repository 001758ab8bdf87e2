"""Which replies match a pattern significantly more often than the other model's do."""

from __future__ import annotations

import dataclasses
import re

import pytest

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.gate import patterns
from pytest_crossdiff.gate.patterns import matching_replies
from pytest_crossdiff.results.difference import Description
from support.replies import REFUSAL, make_pair, make_replies, refusing
from support.results import make_context, make_difference, make_model, make_result

PATTERN = re.compile("I can't|cannot help")


def found(replies, sides=("candidate",)):
    return matching_replies(make_result(replies=replies), PATTERN, sides)


@pytest.mark.parametrize(
    ("refused", "p_value"), [(5, 1 / 32), (8, 1 / 256)], ids=["five in fifty", "eight in fifty"]
)
def test_new_refusals_are_found_with_the_p_value_of_the_sign_test(refused, p_value):
    (matching,) = found(refusing(50, refused))
    assert len(matching.pairs) == refused
    assert (matching.side, matching.only_other) == ("candidate", 0)
    assert matching.p_value == pytest.approx(p_value)


def test_four_in_fifty_may_be_chance():
    assert found(refusing(50, 4)) == ()


def test_what_both_say_is_nothing_new():
    both = (make_pair(n, REFUSAL, REFUSAL) for n in range(20))
    assert found(make_replies(*both)) == ()


def test_as_many_lost_as_won_is_no_change():
    won = (make_pair(n, "Rest.", REFUSAL) for n in range(10))
    lost = (make_pair(n, REFUSAL, "Rest.") for n in range(10, 20))
    assert found(make_replies(*won, *lost), ("baseline", "candidate")) == ()


def test_refusals_that_only_the_baseline_has_are_the_baseline_s():
    lost = make_replies(*(make_pair(n, REFUSAL, "Rest.") for n in range(10)))
    assert found(lost) == ()
    (matching,) = found(lost, ("baseline",))
    assert len(matching.pairs) == 10


def test_without_replies_there_is_nothing_to_search():
    assert found(None) == ()


@pytest.mark.parametrize(
    ("side", "named"),
    [
        ("both", ("baseline", "candidate")),
        ("baseline", ("baseline",)),
        ("candidate", ("candidate",)),
    ],
)
def test_a_side_is_named_by_a_word(side, named):
    assert patterns.sides(side, "assert_no_feature") == named


@pytest.mark.parametrize("side", ["left", "", "Both"])
def test_any_other_word_is_refused(side):
    with pytest.raises(SettingsError, match="is not a side") as caught:
        patterns.sides(side, "assert_no_feature")
    assert caught.value.source == "assert_no_feature"


@pytest.mark.parametrize("pattern", ["(", 3])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(SettingsError, match="is not a regular expression"):
        patterns.compile_pattern(pattern, "assert_no_feature")


@pytest.mark.parametrize(
    ("pattern", "names"),
    [("pods", ["C1"]), ("nodes run", ["C2"]), ("tok", ["C1", "B1"]), ("nothing", [])],
)
def test_a_difference_matches_by_a_token_and_by_a_text_around_it(pattern, names):
    around = make_context("nodes", "the ", " run")
    result = make_result(
        make_difference("C1", tokens=(" pods",)),
        make_difference("C2", tokens=("x",), contexts=(around,)),
        make_difference("B1", "baseline", tokens=("y",)),
    )
    found = patterns.matching(result, re.compile(pattern), ("candidate", "baseline"))
    assert [difference.id for difference in found] == names


@pytest.mark.parametrize(("pattern", "names"), [("sorry", ["C1"]), ("gladly", [])])
def test_a_difference_matches_by_what_its_model_says_and_not_by_what_the_other_says(pattern, names):
    said = Description(promoted=("sorry",), suppressed=("gladly",))
    difference = dataclasses.replace(make_difference("C1"), description=said)
    result = make_result(difference, candidate=make_model("org/new", layer=12))
    found = patterns.matching(result, re.compile(pattern), ("candidate",))
    assert [difference.id for difference in found] == names
