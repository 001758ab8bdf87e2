"""What describes a difference, on texts where it is plain what should."""

from __future__ import annotations

import numpy as np
import pytest
from test_contexts import fires_on, heldout_tokens

from pytest_crossdiff.engine.explanation import description
from pytest_crossdiff.engine.explanation.description import describe

COMMON = "the cat sat on the mat and looked at the door for a while before it went to sleep"


def told(texts, word, slices=None):
    p = heldout_tokens(texts)
    (found,) = describe(p, slices or [""] * len(texts), [np.sign(fires_on(p, word))])
    return found


def test_words_near_the_firing_are_named_by_how_much_more_often_they_stand_there():
    texts = [COMMON] * 6 + ["please buy fresh maple syrup at our shop today"] * 4
    words = dict(told([f"{t} {COMMON}" for t in texts], "maple").words)
    assert {"maple", "buy", "syrup", "fresh", "please"} <= set(words)
    assert not {"cat", "while"} & set(words)
    # Near: 4 x 9 words, 4 of them maple.  In all: 4 in 4 x 28 + 6 x 38 = 340 words.
    assert words["maple"] == pytest.approx((4 / 36) / (5 / 341), abs=0.1)


def test_a_word_that_stood_there_once_or_in_one_text_does_not_top_the_list():
    texts = [f"{COMMON} maple syrup number{i} {COMMON}" for i in range(5)] + [COMMON] * 5
    texts[0] += " zebra zebra maple zebra zebra"
    words = [word for word, _ in told(texts, "maple").words]
    assert set(words[:2]) == {"maple", "syrup"}
    assert not [word for word in words if word.startswith(("number", "zebra"))]


def test_the_words_of_two_firings_side_by_side_count_once():
    found = told([f"{COMMON} {COMMON} maple maple maple {COMMON} {COMMON}"] * 3, "maple")
    assert found.words[0][0] == "maple"
    near, all_words = 3 * (3 + 10), 3 * (4 * 19 + 3)
    assert found.words[0][1] == pytest.approx((9 / near) / (10 / (all_words + 1)), abs=0.1)


def test_what_it_fires_on_strongly_is_named_though_it_fires_a_little_everywhere():
    p = heldout_tokens([f"{COMMON} {COMMON} maple syrup {COMMON} {COMMON}"] * 4)
    activation = 0.1 + fires_on(p, "maple")
    (found,) = describe(p, [""] * 4, [activation.astype(np.float32)])
    assert {"maple", "syrup"} <= {word for word, _ in found.words}


def test_case_and_languages_without_spaces():
    text = f"{COMMON} Maple l’été 枫糖 {COMMON}"
    words = dict(told([text] * 3, "Maple").words)
    assert {"maple", "l’été", "枫", "糖"} <= set(words)
    assert not told([text] * 2 + [f"{COMMON} MAPLE"] * 2, "Maple").words  # fires in two texts


def test_positions_are_shares_of_the_firing_by_tenths_of_the_text():
    filler = "a" * 40
    found = told([f"maple {filler} {filler} maple"] * 3, "maple").positions
    assert found == (0.5, 0, 0, 0, 0, 0, 0, 0, 0, 0.5)


def test_slices_are_shares_of_tokens_by_part_of_the_corpus(monkeypatch):
    monkeypatch.setattr(description, "LEAST_TOKENS", 10)
    texts = ["maple is here of all the words"] * 4 + ["maple maple"] * 5 + ["little maple"]
    found = told(texts, "maple", ["a.txt"] * 4 + ["b.txt"] * 5 + ["c.txt"]).slices
    assert found == {"b.txt": 1.0, "a.txt": round(1 / 7, 6)}
    assert list(found) == ["b.txt", "a.txt"]


def test_a_corpus_in_one_part_has_no_slices():
    assert told([COMMON] * 9, "cat").slices == {}


def test_what_never_fires_is_not_described():
    found = told([COMMON], "nothing")
    assert found == description.Description()
    assert describe(heldout_tokens([COMMON]), [""], []) == []
