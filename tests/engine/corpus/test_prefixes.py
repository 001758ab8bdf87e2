"""Beginnings that several conversations share are one observation."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from pytest_crossdiff.engine.corpus.messages import Message
from pytest_crossdiff.engine.corpus.prefixes import repeated_characters
from pytest_crossdiff.engine.corpus.sampling import Piece

SYSTEM = Message("system", "You help.")


def chat(*turns, tools=""):
    messages = (Message(*turn) if isinstance(turn, tuple) else turn for turn in turns)
    return Piece(0, 0, None, tuple(messages), heldout=False, tools=tools)


def text(content):
    return Piece(0, 0, content, (), heldout=False)


def covered(*pieces):
    """The beginnings of the pieces that earlier ones have, too."""
    repeated = repeated_characters(pieces)
    return [p.shared_text[:n] for p, n in zip(pieces, repeated, strict=True)]


def test_a_system_message_counts_once():
    chats = [chat(SYSTEM, ("user", question)) for question in ("Why?", "How?", "When?")]
    assert covered(*chats) == ["", "You help.\n", "You help.\nWh"]


def test_a_conversation_that_goes_on_repeats_all_that_was_said_before():
    first = chat(("user", "Hi"), ("assistant", "Yes?"))
    longer = chat(("user", "Hi"), ("assistant", "Yes?"), ("user", "Bye"))
    assert covered(first, longer) == ["", "Hi\nYes?"]
    assert covered(longer, first) == ["", "Hi\nYes?"]


def test_where_an_answer_begins_is_repeated_if_everything_before_is():
    one, other = (chat(("user", "Hi"), ("assistant", answer)) for answer in ("Yes?", "No."))
    assert covered(one, other) == ["", "Hi\n"]


def test_another_role_or_tool_is_another_beginning():
    assert covered(chat(("user", "Hi")), chat(("system", "Hi"))) == ["", ""]
    assert covered(chat(("user", "Hi")), chat(("user", "Hi"), tools='[{"name": "x"}]')) == ["", ""]
    one, other = (chat(("user", "Hi"), (role, "Yes")) for role in ("assistant", "system"))
    assert covered(one, other) == ["", "Hi"]


def test_the_same_words_later_on_are_not_a_beginning():
    assert covered(chat(("user", "Hi there")), chat(("user", "Oh. Hi there"))) == ["", ""]


def test_running_text_counts_as_it_stands():
    assert repeated_characters([text("one two"), text("one three")]) == [0, 0]


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(["user", "assistant"]), st.text("ab", max_size=3))),
        max_size=8,
    )
)
def test_it_is_the_longest_beginning_that_any_earlier_one_has(chats):
    """Against a search through all earlier ones, character by character and role by role."""

    def places(turns):
        """Each character with everything before it, a line break with the role that follows."""
        made, before = [], ()
        for number, (role, content) in enumerate(turns):
            before = (*before, role)
            made += [before] if number else []
            for character in content:
                before = (*before, character)
                made.append(before)
        return made

    pieces = [chat(*turns) for turns in chats]
    for i, found in enumerate(repeated_characters(pieces)):
        earlier = {place for other in chats[:i] for place in places(other)}
        own = places(chats[i])
        assert found == len(list(itertools.takewhile(earlier.__contains__, own)))
