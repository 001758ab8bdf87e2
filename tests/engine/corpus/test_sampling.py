"""Cutting documents into pieces, drawing them to a budget, and holding some out by document."""

import itertools
import os
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_crossdiff.engine.corpus.cutting import is_boundary, split_text
from pytest_crossdiff.engine.corpus.documents import Corpus, from_records
from pytest_crossdiff.engine.corpus.sampling import estimate, sample
from pytest_crossdiff.errors import CorpusError

relaxed = settings(deadline=None, max_examples=100)

CLUSTERS = [
    *"aZ .\n\t?，。字語אبक",
    "\n\n",
    ". ",
    "e\u0301",  # a letter and its accent
    "कि",  # a consonant and its vowel sign
    "क्ष",  # consonants joined by a virama
    "👩🏽‍🚀",  # woman, skin tone, joiner, rocket
    "👨‍👩‍👧‍👦",
    "🇫🇷",
    "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "❤️",
    "\u1100\u1161\u11a8",  # a Korean syllable in parts
]
unicode_text = st.lists(st.sampled_from(CLUSTERS), max_size=150)
any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def corpus_of(sizes, group=None):
    """Documents of `sizes` words of five bytes, every word its own."""
    words = (f"{n:04} " for n in itertools.count())
    texts = ["".join(itertools.islice(words, size)) for size in sizes]
    return from_records(
        [{"text": t, "document": group(i) if group else None} for i, t in enumerate(texts)]
    )


def members(corpus, drawn):
    """The sample as contents, for comparisons between corpora of another order."""
    return {(p.start, p.text, p.messages, p.heldout) for p in drawn.pieces}


def draw(corpus, tokens=1000, context=16, heldout=0.3, seed=0):
    return sample(corpus, tokens=tokens, context=context, heldout=heldout, seed=seed)


# Cutting


@relaxed
@given(any_text | unicode_text.map("".join), st.integers(4, 64))
def test_pieces_are_the_document_and_none_is_too_long(text, limit):
    pieces = list(split_text(text, limit))
    assert "".join(piece for _, piece in pieces) == text
    assert [start for start, _ in pieces] == [
        sum(len(piece) for _, piece in pieces[:i]) for i in range(len(pieces))
    ]
    assert all(0 < len(piece.encode()) <= limit for _, piece in pieces)


@relaxed
@given(unicode_text, st.integers(32, 64))
def test_nothing_that_is_seen_as_one_character_is_torn(clusters, limit):
    text = "".join(clusters)
    assert max((len(c.encode()) for c in clusters), default=0) <= 32
    inside = {
        begin + offset
        for begin, cluster in zip(
            itertools.accumulate(map(len, clusters), initial=0), clusters, strict=False
        )
        for offset in range(1, len(cluster))
        if cluster not in ("\n\n", ". ")
    }
    assert not inside & {start for start, _ in split_text(text, limit)}


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("One. Two three.\n\nFour five\nsix seven.", "One. Two three.\n\n"),
        ("One. Two three\nFour five. Six seven eight", "One. Two three\n"),
        ("One two three. Four five six seven", "One two three."),
        ('One "two three." Four five six seven', 'One "two three."'),
        ("one two three four five six seven eight", "one two three four five"),
        ("一二三四五。六七八九十一二三四五", "一二三四五。"),
        ("「一二三。」「五六七八」九十一", "「一二三。」"),
        ("a" * 40, "a" * 24),
        ("字" * 40, "字" * 8),
        ("x" + "🙂" * 9, "x" + "🙂" * 5),
    ],
)
def test_cuts_where_a_reader_would_pause(text, first):
    assert next(split_text(text, 24)) == (0, first)


@pytest.mark.parametrize("cluster", [c for c in CLUSTERS if c not in ("\n\n", ". ")])
@pytest.mark.parametrize("around", ["a", "字", "🙂", "\n", " "])
def test_a_cluster_has_boundaries_around_it_alone(cluster, around):
    text = around + cluster + around
    found = [i for i in range(len(text) + 1) if is_boundary(text, i)]
    assert found == [0, 1, 1 + len(cluster), len(text)]


def test_a_cluster_longer_than_the_limit_is_cut_all_the_same():
    assert [len(piece) for _, piece in split_text("e" + "\u0301" * 40, 16)] == [8, 8, 8, 8, 8, 1]


def test_flags_are_kept_in_pairs():
    assert [is_boundary("🇫🇷🇩🇪", i) for i in range(5)] == [True, False, True, False, True]


def test_cutting_takes_time_proportional_to_the_text():
    began = time.process_time()
    assert sum(1 for _ in split_text("🇫🇷" * 50_000, 64)) == 50_000 // 8
    assert time.process_time() - began < 10  # here 0.1; a minute were it quadratic


@relaxed
@given(any_text)
def test_estimate_is_four_bytes_a_token_rounded_up(text):
    assert estimate(text) - 1 < len(text.encode()) / 4 <= estimate(text)


# Drawing


def test_all_of_a_small_corpus_is_read_in_order():
    corpus = corpus_of([30, 30, 30])
    drawn = draw(corpus)
    for index, document in enumerate(corpus.documents):
        assert "".join(p.text for p in drawn.pieces if p.document == index) == document.text
    places = [(p.document, p.start) for p in drawn.pieces]
    assert places == sorted(places)
    assert all(len(p.text.encode()) <= 16 * 4 for p in drawn.pieces)


def test_a_large_corpus_is_read_up_to_the_budget():
    drawn = draw(corpus_of([100] * 50), tokens=500)
    total = sum(estimate(p.text) for p in drawn.pieces)
    assert 500 <= total < 500 + 16
    assert drawn.documents == len({p.document for p in drawn.pieces})


def test_conversations_stay_whole():
    turns = [{"role": "user", "content": "word " * 100}] * 4
    corpus = from_records([{"messages": turns}, {"messages": turns[:1]}])
    drawn = draw(corpus)
    assert [p.messages for p in drawn.pieces] == [d.messages for d in corpus.documents]
    assert all(p.text is None and p.start == 0 for p in drawn.pieces)


def test_the_seed_decides_and_nothing_else_does():
    corpus = corpus_of([20] * 40)
    assert draw(corpus, tokens=300) == draw(corpus, tokens=300)
    assert draw(corpus, tokens=300).digest != draw(corpus, tokens=300, seed=1).digest


def test_hash_randomisation_has_no_influence():
    code = (
        "from pytest_crossdiff.engine.corpus import documents as corpus, sampling\n"
        "c = corpus.from_records([f'{i} words' * 9 for i in range(30)])\n"
        "print(sampling.sample(c, tokens=200, context=16, heldout=0.3, seed=0).digest)"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "1", "2")
    }
    assert len(digests) == 1


@relaxed
@given(st.permutations(range(12)))
def test_the_order_of_documents_has_no_influence_on_membership(order):
    corpus = corpus_of([5 + 7 * i for i in range(12)], group=lambda i: f"g{i // 2}")
    shuffled = Corpus("", tuple(corpus.documents[i] for i in order), 12, 0, 0, "")
    plain, other = draw(corpus, tokens=200), draw(shuffled, tokens=200)
    assert members(corpus, plain) == members(shuffled, other)


def test_the_digest_sees_text_place_group_and_split():
    corpus = corpus_of([20] * 10)
    digests = {
        draw(c, heldout=h).digest
        for c, h in [
            (corpus, 0.3),
            (corpus, 0.6),
            (corpus_of([20] * 10, group=lambda i: f"g{i}"), 0.3),
            (corpus_of([20] * 9 + [19]), 0.3),
        ]
    }
    assert len(digests) == 4


# Holding out


@relaxed
@given(
    st.lists(st.integers(1, 60), min_size=2, max_size=30),
    st.floats(0.05, 0.9),
    st.integers(0, 5),
)
def test_both_sides_have_documents_and_no_document_is_on_both(sizes, heldout, seed):
    corpus = corpus_of(sizes, group=lambda i: f"g{i * 2 // len(sizes) if i < 2 else i}")
    if len({d.group for d in corpus.documents}) < 2:
        return
    drawn = draw(corpus, tokens=10_000, heldout=heldout, seed=seed)
    sides = [
        {corpus.documents[p.document].group for p in drawn.pieces if p.heldout == side}
        for side in (False, True)
    ]
    assert all(sides)
    assert not sides[0] & sides[1]
    assert (drawn.documents, drawn.heldout_documents) == (len(sides[0] | sides[1]), len(sides[1]))


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.9])
def test_the_share_of_tokens_held_out_is_as_set(share):
    drawn = draw(corpus_of([20] * 200), tokens=100_000, heldout=share)
    held = sum(estimate(p.text) for p in drawn.pieces if p.heldout)
    assert held / sum(estimate(p.text) for p in drawn.pieces) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("seed", range(10))
def test_one_huge_document_does_not_overshoot_the_share(seed):
    drawn = draw(corpus_of([2000] + [10] * 100), tokens=100_000, heldout=0.3, seed=seed)
    held = sum(estimate(p.text) for p in drawn.pieces if p.heldout)
    assert 0.25 < held / sum(estimate(p.text) for p in drawn.pieces) < 0.35


def test_one_document_cannot_be_divided():
    for corpus in (corpus_of([500]), corpus_of([50] * 10, group=lambda i: "book")):
        with pytest.raises(CorpusError, match="is one document") as caught:
            draw(corpus)
        assert "split it into records" in str(caught.value)


def test_a_budget_for_one_document_is_too_small():
    with pytest.raises(CorpusError, match="only one document fits into 1 tokens") as caught:
        draw(corpus_of([20, 20]), tokens=1)
    assert "raise crossdiff_tokens" in str(caught.value)
