"""Intervals over documents, compared with closed forms and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_crossdiff.engine.metrics.intervals import Documents


def test_the_mean_is_over_positions_and_not_over_documents():
    document_n = np.repeat(np.arange(12), [1] * 11 + [9])
    found = Documents(document_n).mean(np.where(document_n == 11, 1.0, 0.0))
    assert found.value == pytest.approx(9 / 20)


def test_the_interval_of_many_alike_documents_is_that_of_the_normal_distribution():
    random = np.random.default_rng(0)
    mean_g = random.normal(3.0, 1.0, 2000)
    found = Documents(np.repeat(np.arange(2000), 5)).mean(np.repeat(mean_g, 5))
    error = mean_g.std(ddof=1) / np.sqrt(2000)
    assert found.low == pytest.approx(mean_g.mean() - 1.96 * error, abs=0.15 * error)
    assert found.high == pytest.approx(mean_g.mean() + 1.96 * error, abs=0.15 * error)


def test_tokens_of_one_document_are_one_observation():
    mean_g = np.random.default_rng(0).normal(size=40)
    short = Documents(np.repeat(np.arange(40), 2)).mean(np.repeat(mean_g, 2))
    long = Documents(np.repeat(np.arange(40), 200)).mean(np.repeat(mean_g, 200))
    assert (short.low, short.high) == pytest.approx((long.low, long.high))


def test_values_that_are_all_equal_have_an_interval_without_width():
    found = Documents(np.repeat(np.arange(15), 7)).mean(np.full(105, 0.3))
    assert found.low == found.high == pytest.approx(0.3)


def test_fewer_than_ten_documents_have_no_interval():
    found = Documents(np.repeat(np.arange(9), 7)).mean(np.arange(63.0))
    assert (found.value, found.low, found.high) == (31.0, None, None)


def test_what_one_document_in_thirty_does_is_bounded_by_what_that_document_does():
    """Most draws without it would make an interval that ends too low."""
    document_n = np.repeat(np.arange(30), 10)
    found = Documents(document_n).mean(np.where(document_n == 0, 3.0, 0.0))
    assert found.value == pytest.approx(0.1)
    assert found.high == 3.0


def test_the_upper_end_covers_the_mean_of_skewed_documents():
    """KL is skewed over documents; a percentile bootstrap covers 80 to 91 % here."""
    random = np.random.default_rng(1)
    sizes_g = random.integers(20, 200, 30)
    documents = Documents(np.repeat(np.arange(30), sizes_g))
    covered = 0
    for _ in range(300):
        mean_g = random.lognormal(-0.125, 0.5, 30)
        found = documents.ratio(mean_g * sizes_g, sizes_g.astype(float))
        covered += found.high >= 1.0
    assert covered / 300 > 0.93


def test_percentiles_are_those_of_the_positions():
    values_n = np.random.default_rng(0).permutation(np.arange(1000.0))
    found = Documents(np.arange(1000)).percentiles(values_n, (50.0, 99.0))
    assert (found["50"].value, found["99"].value) == (499.0, 989.0)
    # The order statistics at p ± 1.96 √(p (1 - p) / n).
    assert (found["50"].low, found["50"].high) == pytest.approx((468, 530), abs=4)
