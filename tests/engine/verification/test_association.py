"""The permutation test over tests: exact where it can be, honest under the null."""

import itertools

import numpy as np
import pytest

from pytest_crossdiff.engine.verification.association import DRAWS, association_p_values


def test_perfect_separation_has_the_probability_of_one_choice_in_all():
    rate = np.array([[0.3], [0.2], [0.0], [0.0], [0.0], [0.0]])
    apart = np.array([True, True, False, False, False, False])
    assert association_p_values(rate, apart) == pytest.approx([1 / 15])  # of 6 choose 2


def test_it_is_one_sided():
    rate = np.array([[0.0], [0.0], [0.3], [0.2], [0.1], [0.4]])
    apart = np.array([True, True, False, False, False, False])
    assert association_p_values(rate, apart) == pytest.approx([1.0])


def test_all_choices_are_counted():
    draw = np.random.default_rng(3)
    rate, apart = draw.random((9, 4)), np.arange(9) < 3
    expected = [
        np.mean([
            rate[list(chosen), d].mean() - np.delete(rate[:, d], chosen).mean()
            >= rate[apart, d].mean() - rate[~apart, d].mean() - 1e-12
            for chosen in itertools.combinations(range(9), 3)
        ])
        for d in range(4)
    ]  # fmt: skip
    assert association_p_values(rate, apart) == pytest.approx(expected)


def test_equal_rates_are_no_evidence():
    assert association_p_values(np.ones((6, 1)), np.arange(6) < 2) == pytest.approx([1.0])


@pytest.mark.parametrize("apart", [np.zeros(4, dtype=bool), np.ones(4, dtype=bool)])
def test_without_tests_to_compare_with_nothing_is_claimed(apart):
    assert association_p_values(np.random.default_rng(0).random((4, 2)), apart).tolist() == [1, 1]


def test_drawn_choices_give_the_tail_of_the_hypergeometric_distribution():
    # A difference that fires in 10 of 40 tests, 6 of them among the 12 apart.
    apart = np.arange(40) < 12
    rate = np.zeros((40, 1))
    rate[[*range(6), *range(12, 16)]] = 1.0
    from scipy.stats import hypergeom

    exact = hypergeom.sf(5, 40, 10, 12)
    (found,) = association_p_values(rate, apart)
    assert found == pytest.approx(exact, abs=4 * np.sqrt(exact / DRAWS))


def test_under_the_null_small_p_values_are_as_rare_as_they_should_be():
    draw = np.random.default_rng(0)
    p = association_p_values(draw.random((14, 2000)), np.arange(14) < 5)
    assert np.mean(p <= 0.05) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 2000))
