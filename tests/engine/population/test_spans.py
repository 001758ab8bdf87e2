"""Spans that models with any tokenizers share, against texts divided by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_crossdiff.engine.population.judging.features import (
    MIN_DOCUMENTS,
    MIN_SPANS,
    overlaps,
    text_features,
    weightings_of,
)
from pytest_crossdiff.engine.population.judging.spans import common_spans
from pytest_crossdiff.engine.population.readings import Reading
from pytest_crossdiff.store.cache import Store


def reading(*texts, first=0, logp=lambda token: -float(len(token))):
    """A reading of texts given in tokens, from the token `first` of each on."""
    rows = []
    for piece, tokens in enumerate(texts):
        place = 0
        for at, token in enumerate(tokens):
            if at >= first:
                rows.append((piece, place, place + len(token), logp(token)))
            place += len(token)
    columns = [np.array(c) for c in zip(*rows, strict=True)]
    return Reading(*(c.astype(np.int32) for c in columns[:3]), columns[3].astype(np.float64))


def cut(spans, texts):
    places = zip(spans.piece_s.tolist(), spans.start_s.tolist(), spans.end_s.tolist(), strict=True)
    return [texts[piece][start:end] for piece, start, end in places]


TEXTS = {0: "We hold these truths."}


class TestSpans:
    def test_end_where_every_tokenizer_ends_a_token_at_a_word_end(self):
        one = reading(["We", " hold", " these", " tru", "ths", "."])
        other = reading(["We", " ho", "ld", " these", " truths", "."])
        spans = common_spans([one, other], TEXTS)
        assert cut(spans, TEXTS) == ["We", " hold", " these", " truths", "."]
        assert spans.tokens_ms.tolist() == [[1, 1, 1, 2, 1], [1, 2, 1, 1, 1]]
        assert spans.logp_ms.tolist() == [[-2, -5, -6, -7, -1], [-2, -5, -6, -7, -1]]

    def test_reach_over_words_that_one_tokenizer_joins(self):
        one = reading(["We", " hold these", " truths", "."])
        other = reading(["We", " hold", " these", " truths", "."])
        spans = common_spans([one, other], TEXTS)
        assert cut(spans, TEXTS) == ["We", " hold these", " truths", "."]

    def test_a_token_end_inside_a_word_is_none_even_if_all_share_it(self):
        one = reading(["We", " ho", "ld", " these", " truths", "."])
        spans = common_spans([one, one], TEXTS)
        assert cut(spans, TEXTS) == ["We", " hold", " these", " truths", "."]

    def test_begin_behind_what_one_of_the_models_does_not_predict(self):
        tokens = ["We", " hold", " these", " truths", "."]
        spans = common_spans([reading(tokens), reading(tokens, first=1)], TEXTS)
        assert cut(spans, TEXTS) == [" hold", " these", " truths", "."]

    def test_leave_out_texts_that_one_of_the_models_did_not_read(self):
        texts = {0: "One two", 1: "Three four"}
        both = reading(["One", " two"], ["Three", " four"])
        one = Reading(*(column[:2] for column in both))
        assert cut(common_spans([both, one], texts), texts) == ["One", " two"]

    def test_never_reach_over_text_that_is_not_predicted(self):
        text = {0: "Yes sir. QUESTION No sir."}
        whole = reading(["Yes", " sir", ".", " ", "QUESTION", " ", "No", " sir", "."])
        answers = Reading(*(np.delete(column, [3, 4, 5]) for column in whole))
        spans = common_spans([answers, answers], text)
        assert cut(spans, text) == ["Yes", " sir", ".", "No", " sir", "."]

    def test_no_text_in_common_gives_none(self):
        one = reading(["One", " two"])
        assert common_spans([one, one._replace(piece_n=one.piece_n + 1)], {}).size == 0

    @given(st.data())
    def test_log_probabilities_of_the_tokens_inside_are_all_there(self, data):
        text = data.draw(st.text("ab .", min_size=1, max_size=30))
        divided = []
        for _ in range(3):
            cuts = data.draw(st.sets(st.integers(1, max(1, len(text) - 1))))
            places = [0, *sorted(c for c in cuts if c < len(text)), len(text)]
            divided.append([text[a:b] for a, b in itertools.pairwise(places)])
        spans = common_spans([reading(tokens) for tokens in divided], {0: text})
        for start, end in zip(spans.start_s.tolist(), spans.end_s.tolist(), strict=True):
            for tokens in divided:
                ends = np.cumsum([len(token) for token in tokens])
                assert end in ends
                assert start == 0 or start in ends
        assert spans.logp_ms == pytest.approx(
            np.tile(spans.start_s - spans.end_s, (3, 1)).astype(float)
        )


class TestReading:
    def test_comes_back_from_the_cache_as_it_was(self, tmp_path):
        kept = reading(["One", " two"], ["Three", " four"])
        entry = Store(tmp_path).entry("reading", "a" * 64)
        with entry.lock():
            kept.save(entry)
            entry.complete({})
        again = Reading.load(Store(tmp_path).entry("reading", "a" * 64))
        assert all(np.array_equal(x, y) for x, y in zip(kept, again, strict=True))


class TestTextFeatures:
    def corpus(self, documents=MIN_DOCUMENTS, repeats=MIN_SPANS // MIN_DOCUMENTS):
        tokens = ["A", " peace", " treaty", "."] * repeats
        texts = dict.fromkeys(range(documents), "".join(tokens))
        return texts, reading(*[tokens] * documents)

    def features(self, texts, read, part="law"):
        spans = common_spans([read, read], texts)
        return spans, text_features(spans, texts, spans.piece_s, [part] * spans.size)

    def test_are_words_and_what_follows_them(self):
        _, found = self.features(*self.corpus())
        wanted = {f"{kind} {word!r}" for kind in ("on", "after") for word in ("A", "peace", ".")}
        assert wanted - {"after '.'"} <= set(found.names)
        on = found.span_i[found.feature_i == found.names.index("on 'peace'")]
        after = found.span_i[found.feature_i == found.names.index("after 'peace'")]
        assert (after == on + 1).all()
        assert (found.weight_i == 1).all()

    def test_are_slices_unless_the_slice_is_most_of_the_texts(self):
        texts, read = self.corpus(documents=2 * MIN_DOCUMENTS)
        spans = common_spans([read, read], texts)
        parts = ["law" if piece < MIN_DOCUMENTS else "" for piece in spans.piece_s.tolist()]
        assert "in law" in text_features(spans, texts, spans.piece_s, parts).names
        assert "in law" not in self.features(texts, read)[1].names

    def test_need_enough_spans_in_enough_documents(self):
        assert not self.features(*self.corpus(documents=MIN_DOCUMENTS - 1, repeats=50))[1].size
        few = self.corpus(documents=MIN_DOCUMENTS, repeats=1)
        assert MIN_DOCUMENTS < MIN_SPANS
        assert not self.features(*few)[1].size

    def test_a_feature_on_the_spans_of_a_stronger_one_repeats_it(self):
        found = weightings_of(
            {"one": np.arange(10), "two": np.arange(4, 10), "three": np.arange(20, 30)}
        )
        assert overlaps(found, [0, 1, 2]) == {1: 0}
