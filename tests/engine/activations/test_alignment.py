"""Which tokens of two tokenizers end at the same character, on any text and any pair of kinds."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_crossdiff.engine.activations.alignment import (
    Coverage,
    Tokens,
    align,
    align_tokens,
    coverage,
)
from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.corpus.sampling import Piece
from support.tokenizers import KINDS, tokenizer

relaxed = settings(deadline=None, max_examples=60)
all_pairs = pytest.mark.parametrize(
    ("kind_a", "kind_b"), list(itertools.combinations_with_replacement(KINDS, 2))
)

WORDS = [
    *("the", "class", "Über", "naïve", "x", "0", "42", "don't", "...", "__init__", "ﬁ", "½"),
    *("中文", "日本語", "テスト", "語。", "한국어"),
    *("العربية", "שלום", "مرحبا", "؟"),
    *("नमस्ते", "क्षत्रिय", "ไทย"),
    *("e\u0301", "o\u0308\u0301", "a\u030a", "Z̷a̸l"),
    *("🙂", "👩🏽‍🚀", "👨‍👩‍👧‍👦", "🇫🇷", "❤️", "👍🏿"),
    *(" ", "  ", "\n", "\n\n", "\t", "\u00a0", "\u3000", "\u200b"),
    *("\x00", "\x07", "\x1b", "\x85", "\ufeff", "\ufffd"),
]
text = st.lists(st.sampled_from(WORDS), max_size=40).map("".join) | st.lists(
    st.sampled_from(WORDS), max_size=20
).map(" ".join)
any_text = text | st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
rising_ends = st.lists(st.integers(0, 3), max_size=30).map(np.cumsum).map(np.int32)


def read(characters, kind):
    piece = Piece(0, 0, characters, (), heldout=False)
    return tokenize(piece, tokenizer(kind), chat_template="own", limit=100_000).tokens


def tokens(*places, ids=None, content=None):
    """Tokens of characters [start, end) in `places`."""
    starts, ends = np.array(places, dtype=np.int32).reshape(-1, 2).T
    n = len(places)
    return Tokens(
        np.arange(n, dtype=np.int32) if ids is None else np.array(ids, dtype=np.int32),
        starts,
        ends,
        np.ones(n, dtype=bool) if content is None else np.array(content, dtype=bool),
    )


def complete_ends(found):
    """Ends of the tokens that share no character with a later one."""
    starts, ends = (of[found.content].tolist() for of in (found.starts, found.ends))
    places = list(zip(starts, ends, strict=True))
    return {
        end
        for i, (_, end) in enumerate(places)
        if all(later_start >= end for later_start, _ in places[i + 1 :])
    }


# Ends alone


@relaxed
@given(rising_ends, rising_ends)
def test_pairs_are_the_last_tokens_at_every_common_end(ends_a, ends_b):
    last_a, last_b = ({int(e): i for i, e in enumerate(ends)} for ends in (ends_a, ends_b))
    expected = [(last_a[e], last_b[e]) for e in sorted(last_a.keys() & last_b.keys())]
    assert align(ends_a, ends_b).tolist() == [list(pair) for pair in expected]


@relaxed
@given(*[st.lists(st.integers(0, 20), max_size=30).map(lambda e: np.array(e, np.int32))] * 2)
def test_pairs_rise_on_both_sides_even_if_ends_do_not(ends_a, ends_b):
    pairs = align(ends_a, ends_b)
    assert (np.diff(pairs, axis=0) > 0).all()
    assert (ends_a[pairs[:, 0]] == ends_b[pairs[:, 1]]).all()


def test_no_tokens_give_no_pairs():
    nothing = np.array([], dtype=np.int32)
    assert align(nothing, np.array([1], dtype=np.int32)).shape == (0, 2)
    empty = tokens()
    assert coverage(align_tokens(empty, empty), empty, empty) == Coverage(0, 0, 0, 0, 0, 0, 0)


def test_a_million_tokens_take_moments():
    ends = np.arange(1, 1_000_001, dtype=np.int32)
    began = time.process_time()
    assert len(align(ends, ends[::3] + 1)) == 333_333
    assert time.process_time() - began < 2  # here 0.05


# Tokens


def test_leading_space_conventions_make_no_difference():
    with_space = tokens((0, 3), (3, 7), ids=[1, 2])
    without = tokens((0, 3), (4, 7), ids=[8, 9])
    pairs = align_tokens(with_space, without)
    assert pairs.tolist() == [[0, 0], [1, 1]]
    assert coverage(pairs, with_space, without) == Coverage(2, 2, 2, 2, 7, 7, 7)


def test_the_last_byte_of_an_emoji_pairs_with_the_token_for_all_of_it():
    in_bytes = tokens((0, 1), (1, 2), (1, 2), (1, 2), (1, 2), (2, 3))
    whole = tokens((0, 1), (1, 2), (2, 3))
    assert align_tokens(in_bytes, whole).tolist() == [[0, 0], [4, 1], [5, 2]]


def test_one_tokenizer_pairs_every_byte_of_an_emoji():
    in_bytes = tokens((0, 1), (1, 2), (1, 2), (1, 2), (1, 2), (2, 3))
    pairs = align_tokens(in_bytes, in_bytes)
    assert pairs.tolist() == [[i, i] for i in range(6)]
    assert coverage(pairs, in_bytes, in_bytes) == Coverage(6, 6, 6, 6, 3, 3, 3)


def test_a_token_that_claims_a_character_of_the_next_one_has_no_partner():
    """`▁` before a text has the place of the text's first character, which it has not read."""
    with_mark = tokens((0, 1), (0, 3), (3, 5))
    without = tokens((0, 1), (1, 3), (3, 5))
    assert align_tokens(with_mark, without).tolist() == [[1, 1], [2, 2]]
    assert align_tokens(without, with_mark).tolist() == [[1, 1], [2, 2]]


def test_a_first_byte_whose_character_ends_within_the_next_token_has_no_partner():
    merged = tokens((0, 1), (0, 2), (2, 3))  # the first byte, then the rest with another character
    whole = tokens((0, 1), (1, 2), (2, 3))
    assert align_tokens(merged, whole).tolist() == [[1, 1], [2, 2]]


def test_tokens_under_other_ids_pair_every_byte_of_an_emoji():
    places = (0, 1), (1, 2), (1, 2), (1, 2), (1, 2), (2, 3)
    a, renumbered = tokens(*places, ids=[5, 1, 2, 2, 3, 5]), tokens(*places, ids=[9, 4, 0, 0, 7, 9])
    assert align_tokens(a, renumbered).tolist() == [[i, i] for i in range(6)]
    split_otherwise = tokens(*places, ids=[9, 4, 0, 8, 7, 9])
    assert align_tokens(a, split_otherwise).tolist() == [[0, 0], [4, 4], [5, 5]]


def test_special_tokens_and_tokens_without_characters_have_no_partner():
    a = tokens((0, 0), (0, 2), (2, 4), (0, 0), content=[False, True, True, False])
    b = tokens((0, 0), (0, 2), (2, 2), (2, 4), content=[False, True, True, True])
    assert align_tokens(a, b).tolist() == [[1, 1], [2, 3]]


def test_alignment_finds_its_way_back_after_a_stretch_without_common_ends():
    a = tokens((0, 2), (2, 5), (5, 8), (8, 9), (9, 10))
    b = tokens((0, 2), (2, 4), (4, 7), (7, 9), (9, 10))
    pairs = align_tokens(a, b)
    assert pairs.tolist() == [[0, 0], [3, 3], [4, 4]]
    assert coverage(pairs, a, b) == Coverage(3, 3, 5, 5, 4, 5, 10)


# Real tokenizers


@all_pairs
@relaxed
@given(characters=any_text)
def test_pairs_rise_and_end_at_the_same_character(kind_a, kind_b, characters):
    a, b = read(characters, kind_a), read(characters, kind_b)
    pairs = align_tokens(a, b)
    assert (np.diff(pairs, axis=0) > 0).all()
    assert (a.ends[pairs[:, 0]] == b.ends[pairs[:, 1]]).all()
    assert a.content[pairs[:, 0]].all()
    assert b.content[pairs[:, 1]].all()


@all_pairs
@relaxed
@given(characters=any_text)
def test_either_order_of_models_gives_the_same_pairs(kind_a, kind_b, characters):
    a, b = read(characters, kind_a), read(characters, kind_b)
    pairs, flipped = align_tokens(a, b), align_tokens(b, a)
    assert (pairs == flipped[:, ::-1]).all()
    ca, cb = coverage(pairs, a, b), coverage(flipped, b, a)
    assert ca == (cb[1], cb[0], cb[3], cb[2], cb[5], cb[4], cb[6])


@pytest.mark.parametrize(("kind_a", "kind_b"), list(itertools.combinations(KINDS, 2)))
@relaxed
@given(characters=any_text)
def test_every_common_end_is_paired_and_the_rest_is_counted(kind_a, kind_b, characters):
    a, b = read(characters, kind_a), read(characters, kind_b)
    pairs = align_tokens(a, b)
    found = coverage(pairs, a, b)
    common = complete_ends(a) & complete_ends(b)
    assert set(a.ends[pairs[:, 0]].tolist()) == common
    for column, side in enumerate((a, b)):
        unpaired = np.setdiff1d(np.flatnonzero(side.content), pairs[:, column])
        assert found[column] + len(unpaired) == found[2 + column]
        ends = np.unique(side.ends[side.content])
        alone = ~np.isin(ends, list(common))
        unspoken = np.diff(ends, prepend=0)[alone].sum() + found.characters - ends.max(initial=0)
        assert found[4 + column] + unspoken == found.characters
    assert found.characters <= len(characters)


@pytest.mark.parametrize("kind", KINDS)
@relaxed
@given(characters=any_text)
def test_a_tokenizer_aligns_with_itself_completely(kind, characters):
    a, b = read(characters, kind), read(characters, kind)
    pairs = align_tokens(a, b)
    content = np.flatnonzero(a.content)
    assert (pairs == content[:, None]).all()
    assert len(pairs) == len(content)
    found = coverage(pairs, a, b)
    assert found.aligned_tokens_a == found.content_tokens_a
    assert found.aligned_characters_a == found.aligned_characters_b == found.characters


@relaxed
@given(characters=any_text)
def test_the_end_of_the_text_aligns_between_tokenizers_that_lose_nothing(characters):
    assume(characters)
    a, b = read(characters, "byte-level BPE"), read(characters, "SentencePiece BPE")
    pairs = align_tokens(a, b)
    assert a.ends[pairs[-1, 0]] == b.ends[pairs[-1, 1]] == len(characters)


@pytest.mark.parametrize("kind", KINDS)
@relaxed
@given(characters=any_text)
def test_tokens_stand_in_reading_order(kind, characters):
    found = read(characters, kind)
    assert (np.diff(found.ends[found.content]) >= 0).all()


@pytest.mark.parametrize(
    "characters",
    [
        "The quick brown fox jumps over the lazy dog.",
        "中文 and 日本語テスト, mixed with 한국어.",
        "مرحبا بالعالم, שלום עולם",
        "नमस्ते दुनिया",
        "👩🏽‍🚀 and 🇫🇷 and ❤️ in a row",
        "cafe\u0301 and café",
    ],
)
@all_pairs
def test_no_script_is_dropped(kind_a, kind_b, characters):
    a, b = read(characters, kind_a), read(characters, kind_b)
    found = coverage(align_tokens(a, b), a, b)
    words = len(characters.split())
    assert found.characters == len(characters)
    assert (
        found.aligned_tokens_a >= words - 1
    )  # every word ends alike, but before [UNK] at most one
    assert min(found.aligned_characters_a, found.aligned_characters_b) > 0


def test_an_accent_belongs_to_its_letter_for_whoever_composes_or_drops_it():
    characters = "cafe\u0301"
    for kind in KINDS:
        assert read(characters, kind).ends.max() == 5


MARKED = ("SentencePiece BPE", "Unigram")


@pytest.mark.parametrize("characters", [" The big", "\nin", "中文 x", "🙂a", "x is", "0 in"])
@pytest.mark.parametrize("other", [kind for kind in KINDS if kind not in MARKED])
@pytest.mark.parametrize("kind", MARKED)
def test_the_mark_before_a_text_pairs_with_nothing(kind, other, characters):
    """Ground truth: the partner of a token has read the same text, the mark has read none."""
    ids = tokenizer(kind)(characters, add_special_tokens=False)["input_ids"]
    names = tokenizer(kind).convert_ids_to_tokens(ids)
    found, without = read(characters, kind), read(characters, other)
    marks = np.flatnonzero(found.content)[[i for i, name in enumerate(names) if name == "▁"][:1]]
    pairs = align_tokens(found, without)
    if names[0] == "▁":
        assert marks[0] not in pairs[:, 0]
    assert pairs[-1].tolist() == [
        np.flatnonzero(found.content)[-1],
        np.flatnonzero(without.content)[-1],
    ]


@pytest.mark.parametrize("kind", MARKED)
def test_the_mark_pairs_with_its_counterpart_of_the_same_tokenizer(kind):
    found = read(" The big", kind)
    pairs = align_tokens(found, found)
    assert (pairs[:, 0] == pairs[:, 1]).all()
    assert len(pairs) == found.content.sum()


def test_between_two_tokenizers_with_marks_no_mark_stands_for_a_character():
    bpe, unigram = (read("中文 x", kind) for kind in MARKED)
    paired = align_tokens(bpe, unigram)
    ends = bpe.ends[paired[:, 0]].tolist()
    assert ends == [2, 3, 4]  # not 1, where only the mark of the second ends
