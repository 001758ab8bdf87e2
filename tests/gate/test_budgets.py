"""Limits that a test writes, and budgets of output metrics alone."""

from __future__ import annotations

import pytest

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.gate.budgets import Budgets, Limits
from pytest_crossdiff.settings import Settings

CALLER = "assert_max_features"


@pytest.mark.parametrize(("count", "strength"), [(0, 0.0), (7, 1.0), (None, 1), (0, None)])
def test_limits_up_to_their_ends_are_taken_as_they_are(count, strength):
    found = Limits.given(count, strength, CALLER)
    assert (found.max_count, found.max_strength) == (count, strength)
    assert found.count_from == f"max_count of {CALLER}"
    assert found.strength_from == f"max_strength of {CALLER}"


@pytest.mark.parametrize(
    ("count", "strength", "name"),
    [
        *((wrong, None, "max_count") for wrong in (-1, 0.5, True, "3")),
        *((None, wrong, "max_strength") for wrong in (-0.1, 1.01, False, float("nan"), "1")),
    ],
)
def test_what_can_be_no_limit_is_refused_by_its_name(count, strength, name):
    with pytest.raises(SettingsError, match=f"^{name} = .* is not valid") as caught:
        Limits.given(count, strength, CALLER)
    assert caught.value.source == CALLER


def test_budgets_of_the_output_judge_no_side():
    found = Budgets.of_output(Settings(min_fve=0.3), ())
    assert found.limits("baseline") is found.limits("candidate") is None
    assert (found.min_fve, found.metrics) == (0.3, ())
