"""References that are copies, near-identical, or cannot predict the texts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pytest_crossdiff.engine.population.judging.membership import (
    character_entropy,
    distances,
    same_tokens,
    units,
)
from pytest_crossdiff.engine.population.readings import Reading


def models(rng, count, spans=400):
    shared_s = rng.normal(size=spans)
    return shared_s + 0.3 * rng.normal(size=(count, spans))


class TestDistances:
    def test_are_standard_deviations_of_differences(self):
        logp_ms = models(np.random.default_rng(0), 4)
        found = distances(logp_ms)
        for a in range(4):
            for b in range(4):
                expected = (logp_ms[a] - logp_ms[b]).std(ddof=1)
                assert found[a, b] == pytest.approx(expected, abs=1e-6)


class TestUnits:
    def test_separately_trained_models_all_count(self):
        found = units(models(np.random.default_rng(1), 6))
        assert found.rows == (1, 2, 3, 4, 5)
        assert not found.same_as

    def test_of_two_copies_the_first_counts(self):
        rng = np.random.default_rng(2)
        logp_ms = models(rng, 6)
        logp_ms[4] = logp_ms[2] + 0.01 * rng.normal(size=logp_ms.shape[1])
        found = units(logp_ms)
        assert found.rows == (1, 2, 3, 5)
        assert found.same_as == {4: 2}

    def test_a_copy_of_the_judged_model_does_not_count(self):
        logp_ms = models(np.random.default_rng(3), 5)
        logp_ms[3] = logp_ms[0]
        found = units(logp_ms)
        assert found.rows == (1, 2, 4)
        assert found.same_as == {3: -1}

    def test_references_of_one_family_count_when_all_are_equally_close(self):
        rng = np.random.default_rng(4)
        near_ms = rng.normal(size=400) + 0.001 * rng.normal(size=(5, 400))
        assert units(near_ms).rows == (1, 2, 3, 4)


class TestCharacterEntropy:
    def test_is_that_of_the_frequencies(self):
        assert character_entropy(["aabb", "abab"]) == pytest.approx(math.log(2))
        assert character_entropy(["aaaaaa"]) == 0
        quarter = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
        assert character_entropy(["aaab"]) == pytest.approx(quarter)


class TestSameTokens:
    def test_is_about_places_and_not_about_probabilities(self):
        piece, starts = np.zeros(3, np.int32), np.arange(3, dtype=np.int32)
        one = Reading(piece, starts, starts + 1, np.array([-1.0, -2.0, -3.0]))
        assert same_tokens(one, one._replace(logp_n=np.zeros(3)))
        assert not same_tokens(one, one._replace(ends_n=starts + 2))
