"""What references say of a pair, on readings with a known difference."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_crossdiff.engine.population.compare import Candidates, HeldOutTexts, compare
from pytest_crossdiff.engine.population.readings import Observed, Reading
from pytest_crossdiff.engine.population.writing import Written
from pytest_crossdiff.errors import InsufficientData

WORDS = ("peace", "war", "treaty", "the", "of", "people", "law", "year", "great", "public")
DOCUMENTS, LENGTH = 60, 40


@pytest.fixture(scope="module")
def held():
    rng = np.random.default_rng(0)
    texts = {piece: " ".join(rng.choice(WORDS, LENGTH)) for piece in range(DOCUMENTS)}
    parts = {piece: "law" if piece < DOCUMENTS // 3 else "speech" for piece in texts}
    return HeldOutTexts(texts, {piece: piece for piece in texts}, parts)


def model(held, seed, shift=(), split=False):
    """A reading of a model: the words' difficulty, which all share, a taste of its own for each
    word, and noise.  shift: (word, nats).  split: words of more than four letters are two tokens.
    """
    rng = np.random.default_rng(seed)
    difficulty = {word: -2.0 - 0.2 * len(word) for word in WORDS}
    taste = dict(zip(WORDS, rng.normal(0, 0.05, len(WORDS)), strict=True))
    rows = []
    for piece, text in held.texts.items():
        place = 0
        for word in text.split(" "):
            start = place
            place += len(word) + (start > 0)
            logp = difficulty[word] + taste[word] + rng.normal(0, 0.3) + dict(shift).get(word, 0.0)
            cut = start + (len(word) + (start > 0)) // 2
            parts = [(start, cut), (cut, place)] if split and len(word) > 4 else [(start, place)]
            rows += [(piece, a, b, logp / len(parts)) for a, b in parts]
    piece, starts, ends, logp = (np.array(c) for c in zip(*rows, strict=True))
    return Reading(
        piece.astype(np.int32), starts.astype(np.int32), ends.astype(np.int32), logp.astype(float)
    )


def references(held, count=8, first=100, **changes):
    return {f"r{i}": model(held, first + i, split=i % 2 == 1) for i in range(count)} | changes


def judged(held, candidate, baseline=None, among=None, left_out=()):
    pair = {"candidate": candidate, "baseline": baseline or model(held, 50)}
    observed = {name: known(of) for name, of in {**pair, **(among or references(held))}.items()}
    both = {side: observed.pop(side) for side in pair}
    return compare(both, Candidates(observed, dict(left_out)), held, fdr=0.05)


def known(of):
    """A reading alone, or what is known beside it."""
    return of if isinstance(of, Observed) else Observed(of)


class TestPlants:
    def test_a_word_that_became_unlikely_flags_the_candidate_and_names_it(self, held):
        found = judged(held, model(held, 1, [("peace", -2.0)]))
        of = found.of("candidate")
        assert of.flagged
        assert of.references == 8
        assert of.bound == pytest.approx(1 / 9)
        assert of.features[0].name == "on 'peace'"
        assert of.features[0].significant
        assert of.features[0].shift == pytest.approx(-2.0, abs=0.5)
        assert not found.of("baseline").flagged

    def test_the_baseline_is_judged_in_the_same_way(self, held):
        found = judged(held, model(held, 1), model(held, 2, [("law", 1.5)]))
        assert not found.of("candidate").flagged
        assert found.of("baseline").flagged
        assert found.of("baseline").features[0].name == "on 'law'"

    def test_ability_is_no_difference(self, held):
        candidate = model(held, 1)
        found = judged(held, candidate._replace(logp_n=0.6 * candidate.logp_n))
        assert not found.of("candidate").features[0].significant

    def test_of_exchangeable_models_one_in_references_plus_one_is_flagged(self, held):
        among = references(held, 5)
        flagged = 0
        for name in among:
            others = {other: of for other, of in among.items() if other != name}
            flagged += judged(held, among[name], among=others).of("candidate").flagged
        assert flagged == 1


def writing(of, seed, harvest=0):
    """Beside a reading what the model writes: ten words, and `harvest` times one that no text has.

    It is what 60 texts are gone on with, each of which lends its first words.
    """
    rng = np.random.default_rng(1_000 + seed)
    count_w = rng.binomial(DOCUMENTS, 0.3, len(WORDS))
    counts = dict(zip(WORDS, map(int, count_w), strict=True))
    return Observed(
        of, Written(counts | ({"harvest": harvest} if harvest else {}), 20 * DOCUMENTS, DOCUMENTS)
    )


class TestWriting:
    def among(self, held):
        return {name: writing(of, i) for i, (name, of) in enumerate(references(held).items())}

    def test_a_word_that_the_candidate_writes_flags_it_and_is_named_with_its_shares(self, held):
        candidate, baseline = writing(model(held, 1), 50, harvest=30), writing(model(held, 2), 51)
        found = judged(held, candidate, baseline, self.among(held))
        of = found.of("candidate")
        assert of.flagged
        named = of.features[0]
        assert (named.name, named.significant) == ("writes 'harvest'", True)
        assert (named.spans, named.documents) == (30, 30)
        assert named.share == pytest.approx(30 / DOCUMENTS)
        assert named.references_share == 0
        assert named.shift == pytest.approx(0.5)
        assert (found.words, found.continuations) == (len(WORDS) + 1, DOCUMENTS)
        assert not found.of("baseline").flagged

    def test_the_share_that_would_be_flagged_is_flagged_and_a_little_less_is_not(self, held):
        candidate, baseline = writing(model(held, 1), 50, harvest=30), writing(model(held, 2), 51)
        needed = judged(held, candidate, baseline, self.among(held)).of("candidate").features[0]
        least = needed.smallest_flagged * DOCUMENTS
        # The references' threshold depends on the candidate's count by little.
        above = writing(model(held, 1), 50, harvest=int(least) + 3)
        below = writing(model(held, 1), 50, harvest=int(least) - 3)
        among = self.among(held)
        found = [judged(held, of, baseline, among).of("candidate") for of in (above, below)]
        assert [of.features[0].name == "writes 'harvest'" and of.flagged for of in found] == [
            True,
            False,
        ]

    def test_a_model_that_writes_little_has_shares_of_at_most_one(self, held):
        every = dict.fromkeys(WORDS, DOCUMENTS)
        curt = Observed(model(held, 1), Written(every, 5 * DOCUMENTS, DOCUMENTS))
        found = judged(held, curt, writing(model(held, 2), 51), self.among(held))
        words = [f for f in found.of("candidate").features if f.share is not None]
        assert words
        for f in words:
            assert f.share == 1.0
            assert 0.0 < f.references_share < 0.6
            assert f.smallest_flagged + f.references_share <= 1.0

    def test_a_model_that_writes_nothing_lacks_what_all_others_write(self, held):
        silent = Observed(model(held, 1), Written({}, 0, DOCUMENTS))
        found = judged(held, silent, writing(model(held, 2), 51), self.among(held))
        of = found.of("candidate")
        assert of.flagged
        assert of.features[0].name.startswith("writes ")
        assert of.features[0].share == 0


class TestReferences:
    def test_one_that_cannot_predict_the_texts_is_left_out(self, held):
        poor = model(held, 9)._replace()
        poor = poor._replace(logp_n=np.full(len(poor.logp_n), -40.0))
        found = judged(held, model(held, 1), among=references(held, poor=poor))
        assert found.of("candidate").references == 8
        (named,) = [of for of in found.references if of.left_out]
        assert named.name == "poor"
        assert named.left_out.startswith(
            "predicts the texts no better than the frequencies of single characters: "
        )

    def test_two_near_identical_ones_count_once(self, held):
        among = references(held)
        rng = np.random.default_rng(7)
        twin = among["r3"]._replace(
            logp_n=among["r3"].logp_n + rng.normal(0, 0.001, len(among["r3"].logp_n))
        )
        found = judged(held, model(held, 1), among={**among, "twin": twin})
        assert found.of("candidate").references == 8
        assert [of.name for of in found.references if of.same_as == "r3"] == ["twin"]

    def test_a_copy_of_the_candidate_does_not_hide_its_difference(self, held):
        candidate = model(held, 1, [("peace", -2.0)])
        found = judged(held, candidate, among=references(held, copy=candidate))
        assert found.of("candidate").flagged
        assert [of.name for of in found.references if of.same_as == "the candidate"] == ["copy"]

    def test_an_outlier_is_named(self, held):
        odd = model(held, 9, [("year", 6.0)])
        found = judged(held, model(held, 1), among=references(held, odd=odd))
        assert [w for w in found.warnings if w.startswith("the reference odd deviates")]
        assert not found.of("candidate").flagged

    def test_those_left_out_beforehand_are_listed_with_the_reason(self, held):
        found = judged(held, model(held, 1), left_out=[("bert", "predicts no next token")])
        assert found.references[-1].name == "bert"
        assert found.references[-1].left_out == "predicts no next token"

    def test_each_says_whose_tokenizer_it_has(self, held):
        found = judged(held, model(held, 1), model(held, 50, split=True))
        assert [of.tokenizers for of in found.references] == [("candidate",), ("baseline",)] * 4

    def test_one_alone_judges_nothing(self, held):
        found = judged(held, model(held, 1), among=references(held, 1))
        assert found.judged == ()


class TestTexts:
    def test_a_pair_that_cannot_predict_them_is_refused(self, held):
        candidate = model(held, 1)
        poor = candidate._replace(logp_n=np.full(len(candidate.logp_n), -40.0))
        with pytest.raises(InsufficientData, match="the candidate predicts the texts no better"):
            judged(held, poor)

    def test_too_few_spans_are_refused(self, held):
        short = HeldOutTexts({0: held.texts[0]}, held.groups, held.slices)
        with pytest.raises(
            InsufficientData, match=r"the models have \d+ spans of text in common, 200 are needed"
        ):
            judged(short, model(short, 1), model(short, 2), references(short))
