"""How many dictionaries have to have a difference."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from pytest_crossdiff.results.recurrence import majority, majority_possible, seeds_to_decide


def test_most_is_more_than_half() -> None:
    assert majority(2, 3)
    assert not majority(1, 2)
    assert not majority(0, 1)


@pytest.mark.parametrize("trained", range(1, 30))
def test_a_majority_is_conceivable_where_the_interval_of_the_share_reaches_one_half(
    trained: int,
) -> None:
    for have in range(trained + 1):
        interval = binomtest(have, trained).proportion_ci(0.8, method="wilson")
        assert majority_possible(have, trained) == (interval.high >= 0.5)


def test_so_many_dictionaries_would_decide() -> None:
    assert seeds_to_decide(1, 3) == 15
    assert seeds_to_decide(1, 5) == 7  # 1.4 of 7 are too few
    assert seeds_to_decide(2, 5) > seeds_to_decide(1, 5)
    for have, trained in ((1, 3), (2, 5), (3, 7)):
        wanted = seeds_to_decide(have, trained)
        assert wanted % 2
        assert not majority_possible(have / trained * wanted, wanted)
        assert majority_possible(have / trained * (wanted - 2), wanted - 2)
