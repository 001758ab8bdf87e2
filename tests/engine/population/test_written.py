"""Words that models write, and the rule that looks at these and at the texts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pytest_crossdiff.engine.population.judging.deviations import (
    LEAST_CONTINUATIONS,
    PRIOR_DEGREES,
    deviations,
    written_words,
)
from pytest_crossdiff.engine.population.judging.judge import judgement
from pytest_crossdiff.engine.population.judging.weightings import Weightings
from pytest_crossdiff.engine.population.writing import Written

CONTINUATIONS, WORDS = 600, 300


def written(rng, models, varied=0.4, **more):
    """Models that write words of very different frequency, the log of which varies between models;
    the first one also those in `more`, so many times.
    """
    frequency_w = 0.3 / np.arange(1, WORDS + 1)
    rate_mw = frequency_w * np.exp(varied * rng.standard_t(4, (models, WORDS)))
    count_mw = rng.binomial(CONTINUATIONS, np.minimum(rate_mw, 0.9))
    found = [
        Written({f"w{w}": int(n) for w, n in enumerate(of) if n}, 20 * CONTINUATIONS)
        for of in count_mw
    ]
    return [Written({**found[0].continuations, **more}, found[0].words), *found[1:]]


class TestWords:
    def test_deviations_are_those_of_the_formula(self):
        made = written(np.random.default_rng(0), 6)
        made[2] = Written(made[2].continuations, 2 * made[2].words)
        found = written_words(made)
        mean_words = np.mean([of.words for of in made])
        for f, word in enumerate(found.words):
            root_m = np.array(
                [
                    2 * np.sqrt(of.continuations.get(word, 0) * mean_words / of.words + 3 / 8)
                    for of in made
                ]
            )
            assert found.deviations.shift_mf[2, f] == pytest.approx(
                root_m[2] - np.delete(root_m, 2).mean()
            )

    def test_a_count_varies_as_a_poisson_count_at_least(self):
        rng = np.random.default_rng(1)
        made = [Written({"always": 40, "x": 40 + 3 * (m == 0)}, 9_000) for m in range(6)]
        found = written_words(made).deviations
        assert found.scale_mf == pytest.approx(np.full((6, 2), np.sqrt(1 + 1 / 5)))
        wild = [Written({"wild": int(n), "x": 9}, 9_000) for n in rng.integers(5, 500, 6)]
        root_k = 2 * np.sqrt([of.continuations["wild"] + 3 / 8 for of in wild[1:]])
        variances = np.array([root_k.var(ddof=1), 0.0])
        shrunk = (PRIOR_DEGREES * np.median(variances) + 4 * variances[0]) / (PRIOR_DEGREES + 4)
        expected = np.sqrt(shrunk * (1 + 1 / 5))
        assert written_words(wild).deviations.scale_mf[0, 0] == pytest.approx(expected)

    def test_words_that_no_model_writes_often_enough_are_no_features(self):
        made = [
            Written(
                {"rare": LEAST_CONTINUATIONS - 1, "once": LEAST_CONTINUATIONS * (m == 3)}, 9_000
            )
            for m in range(5)
        ]
        assert written_words(made).words == ("once",)

    def test_models_that_write_nothing_have_no_features(self):
        found = written_words([Written({}, 0)] * 4)
        assert found.words == ()
        assert found.deviations.z_mf.shape == (4, 0)

    def test_a_word_that_one_model_alone_writes_deviates_most(self):
        found, words = [], []
        for run in range(20):
            of = written_words(written(np.random.default_rng(run), 9, varied=0.1, new=40))
            largest_m = of.deviations.largest_m
            found.append(largest_m[0] > largest_m[1:].max())
            words.append(of.words[int(np.abs(of.deviations.z_mf[0]).argmax())])
        assert np.mean(found) >= 0.9
        assert words.count("new") >= 18


class TestBound:
    """The rule over both: a model like its references is flagged with probability 1 / (K + 1)."""

    @pytest.mark.parametrize("references", [3, 8])
    def test_alarm_rate_covers_one_in_references_plus_one(self, references):
        rng, runs, flagged = np.random.default_rng(references), 200, 0
        spans, features = 120, 10
        on = [rng.choice(spans, 20, replace=False) for _ in range(features)]
        names = tuple(map(str, range(features)))
        of = Weightings(np.repeat(np.arange(features), 20), np.concatenate(on), np.ones(200), names)
        for _ in range(runs):
            residual_ms = rng.standard_t(3, (references + 1, spans))
            texts = deviations(residual_ms, of, np.arange(spans) // 6)
            words = written_words(written(rng, references + 1))
            flagged += judgement(texts.beside(words.deviations), 0.05).flagged
        interval = stats.binomtest(flagged, runs).proportion_ci(0.99)
        assert interval.low <= 1 / (references + 1) <= interval.high

    def test_exchange_of_two_models_exchanges_their_deviations(self):
        made, order = written(np.random.default_rng(5), 6), [3, 1, 5, 0, 4, 2]
        one, other = written_words(made), written_words([made[m] for m in order])
        assert other.words == one.words
        assert other.deviations.z_mf == pytest.approx(one.deviations.z_mf[order])
