"""The limit of detection: what is printed is found four times in five."""

from __future__ import annotations

import numpy as np
import pytest

from pytest_crossdiff.results.controls import Controls, PlantedSignal
from pytest_crossdiff.results.detection import DetectionLimit, detection_limit

LADDER = 0.0003, 0.001, 0.003, 0.01


def planted(found: dict[float, list[float]]) -> Controls:
    """One signal of each rung and density; found: by density the strengths that were found."""
    return Controls(
        tuple(
            PlantedSignal("candidate", s, density, s, s if s in seen else 0.0)
            for density, seen in found.items()
            for s in LADDER
        )
    )


def test_what_is_found_at_the_printed_limit_is_found_four_times_in_five():
    """Ladders of one signal a rung between models whose half-way point is drawn by chance."""
    random = np.random.default_rng(0)
    probabilities = []
    for _ in range(600):
        half, width = random.uniform(np.log(0.0002), np.log(0.02)), random.choice([0.2, 0.4, 0.8])

        def share(strength, half=half, width=width):
            return 1 / (1 + np.exp((half - np.log(strength)) / width))

        limit = detection_limit([(s, random.random() < share(s)) for s in LADDER])
        if limit is not None:
            probabilities.append(share(limit))
    assert len(probabilities) > 200
    assert np.mean(probabilities) == pytest.approx(0.8, abs=0.04)


def test_more_signals_bring_the_limit_to_the_strength_that_is_found_with_80_percent():
    random = np.random.default_rng(1)
    strengths = np.exp(random.uniform(np.log(0.0003), np.log(0.01), 3000))
    half, width = np.log(0.002), 0.4
    found = random.random(3000) < 1 / (1 + np.exp((half - np.log(strengths)) / width))
    wanted = np.exp(half + width * np.log(4))  # where the logistic curve passes 80 %
    limit = detection_limit(list(zip(strengths.tolist(), found.tolist(), strict=True)))
    assert limit == pytest.approx(wanted, rel=0.06)


def test_a_stronger_signal_that_is_missed_raises_the_limit():
    """0.001 was once printed while signals of 0.003 and 0.01 were missed on 0.3 % of the tokens."""
    clean = planted({0.003: [0.001, 0.003, 0.01]}).limit("candidate")
    holes = planted({0.003: [0.001, 0.01]}).limit("candidate")
    assert clean is not None
    assert 0.001 < clean < 0.003
    assert holes is None or holes > 0.003
    assert planted({0.003: [0.001]}).limit("candidate") is None


def test_the_limit_is_stated_for_each_density_and_holds_at_all_of_them():
    found = planted({0.01: [0.001, 0.003, 0.01], 0.003: [0.003, 0.01]})
    few, many = found.limits("candidate")
    assert (few.density, many.density) == (0.003, 0.01)
    assert many.strength < few.strength
    assert found.limit("candidate") == few.strength
    half = planted({0.003: [], 0.01: [0.003, 0.01]})
    assert half.limits("candidate")[0] == DetectionLimit(0.003, None)
    assert half.limit("candidate") is None


def test_nothing_is_claimed_below_the_weakest_signal_or_without_any():
    assert planted({0.01: [*LADDER]}).limit("candidate") >= 0.0003
    assert planted({0.01: [*LADDER]}).limit("baseline") is None
    assert detection_limit([]) is None


def test_a_side_is_insensitive_where_none_of_the_strongest_signals_is_found():
    assert planted({0.003: [0.003], 0.01: [0.003]}).insensitive("candidate")
    assert not planted({0.003: [], 0.01: [0.01]}).insensitive("candidate")
    assert not planted({0.003: [], 0.01: []}).insensitive("baseline")
