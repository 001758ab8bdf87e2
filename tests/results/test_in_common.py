"""What the surprising replies share is counted, long enough to be read, and not what all say."""

import dataclasses

import pytest

from pytest_crossdiff.results.in_common import (
    MOST_WORDS,
    InCommon,
    SharedPhrase,
    SurprisingSlice,
    in_common,
)
from pytest_crossdiff.results.wording import describe_in_common
from support.replies import REFUSAL, make_pair, make_replies

ANSWERS = [
    "Rest and drink plenty of water.",
    "A doctor can tell you more about it.",
    "It is often harmless, and it passes.",
    "Sleep helps, and so does tea.",
    "Take a walk and open the window.",
    "That depends on how long it lasts.",
]


def answered(changed, count=12, of=lambda answer: REFUSAL):
    """The first `changed` of so many answers are others, and surprising."""
    answers = [ANSWERS[n % len(ANSWERS)] for n in range(count)]
    return make_replies(
        *(
            make_pair(n, answer, of(answer), 2.0) if n < changed else make_pair(n, answer, answer)
            for n, answer in enumerate(answers)
        )
    )


def test_a_refusal_is_told_whole():
    found = in_common(answered(5))
    assert found.phrases == (SharedPhrase("candidate", REFUSAL, 5, begins=True, others=0),)
    assert (found.count, found.total) == (5, 12)


def test_a_longer_phrase_is_told_as_long_as_nearly_as_many_have_it():
    endings = iter("abcde")
    found = in_common(answered(5, of=lambda _: f"I am sorry, but {next(endings)} is closed."))
    assert [phrase.text for phrase in found.phrases] == ["I am sorry, but"]


def test_what_everybody_says_is_not_told():
    assert in_common(answered(6, of=lambda answer: answer.replace(".", " indeed."))).phrases == (
        SharedPhrase("candidate", "indeed.", 6, begins=False, others=0),
    )
    swapped = iter(ANSWERS[1:] + ANSWERS[:1])
    assert in_common(answered(6, of=lambda _: next(swapped))).phrases == ()


def test_several_phrases_reach_replies_that_none_before_has():
    said = iter(["No way."] * 4 + ["Ask a lawyer."] * 4)
    found = in_common(answered(8, of=lambda _: next(said)))
    assert {(phrase.text, phrase.count) for phrase in found.phrases} == {
        ("No way.", 4),
        ("Ask a lawyer.", 4),
    }


def test_what_is_no_longer_said_is_told_where_nothing_new_is():
    found = in_common(answered(12, of=lambda answer: answer.split()[0]))
    assert found.phrases == (SharedPhrase("baseline", ".", 12, begins=False, others=0),)
    assert found.words == (8.0, 1.0)
    assert describe_in_common(found) == (
        "the baseline's to 12 of these 12 prompts say '.' (the candidate's 12: 0)",
        "their length in words and marks is 1, of the baseline's to the same prompts 8 (medians)",
    )


def test_marks_before_a_phrase_are_left_off_and_the_words_are_as_they_were_written():
    found = in_common(answered(6, of=lambda answer: f"{answer}  Join  the club!"))
    assert [phrase.text for phrase in found.phrases] == ["Join  the club!"]


def test_a_language_without_spaces_has_phrases_too():
    endings = iter("猫犬鳥魚馬")
    found = in_common(answered(5, of=lambda _: f"申し訳ありませんが、{next(endings)}です。"))
    assert [(p.text, p.count, p.begins) for p in found.phrases] == [
        ("申し訳ありませんが、", 5, True)
    ]


@pytest.mark.parametrize(("changed", "count"), [(3, 3), (2, None), (0, None)])
def test_few_surprising_replies_have_nothing_in_common(changed, count):
    found = in_common(answered(changed))
    assert (found and found.count) == count


def test_without_replies_or_a_reader_of_the_candidate_s_there_is_nothing():
    assert in_common(None) is None
    unread = make_replies(*(make_pair(n, "Yes.", "No.") for n in range(9)))
    assert in_common(unread) is None


def sliced(names, surprising):
    pairs = [
        dataclasses.replace(make_pair(n, "Yes.", REFUSAL, 2.0 * (n in surprising)), slice=name)
        for n, name in enumerate(names)
    ]
    return in_common(make_replies(*pairs)).slices


def test_a_slice_is_told_where_the_surprising_replies_gather():
    names = ["law"] * 4 + ["shop"] * 4 + ["sport"] * 4
    assert sliced(names, {0, 1, 2, 4}) == (
        SurprisingSlice("law", 3, 4),
        SurprisingSlice("shop", 1, 4),
    )
    assert sliced(["a", "b", "c", "d", "e", "f"], {0, 1, 2, 3, 4, 5}) == ()
    assert sliced(["law"] * 6, {0, 1, 2}) == ()


def test_the_sentences():
    told = InCommon(
        5, 12,
        (SharedPhrase("candidate", "I'm\nsorry", 4, begins=True, others=1),),
        (SurprisingSlice("law", 4, 6),),
        (),
    )  # fmt: skip
    assert describe_in_common(told) == (
        "4 of 5 begin with 'I'm⏎sorry' (the baseline's 12: 1)",
        "4 of 5 answer prompts of the slice 'law', of which 6 were asked",
    )


def test_of_a_long_shared_text_the_beginning_is_told():
    shared = " ".join(f"word{n}" for n in range(300))
    (found,) = in_common(answered(100, 100, of=lambda _: shared)).phrases
    assert found.text == " ".join(f"word{n}" for n in range(MOST_WORDS))
    assert (found.count, found.begins, found.others) == (100, True, 0)
