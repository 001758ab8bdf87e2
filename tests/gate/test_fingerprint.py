"""What a difference is known by in another run, against correlations of all activations."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pytest_crossdiff.gate.fingerprint import MAX_LISTED_FIRINGS, MAX_PLACES, Fingerprint, rank
from pytest_crossdiff.results.difference import Firing
from support.results import make_difference

PAIRS = 4000


def fingerprint(activation_n, kept=128, pairs=PAIRS):
    """Of a difference with these activations, place n being token n % 40 of piece n // 40."""
    found = [
        Firing(f"document {n // 400}", f"{n // 40:016x}", n % 40, float(activation_n[n]))
        for n in np.flatnonzero(activation_n)
    ]
    listed = tuple(sorted(found, key=lambda f: f.rank)[:MAX_LISTED_FIRINGS])
    return Fingerprint.of(dataclasses.replace(make_difference(), firing=listed), pairs, kept)


def sparse(generator, count):
    activation_n = np.zeros(PAIRS)
    where = generator.choice(PAIRS, count, replace=False)
    activation_n[where] = generator.gamma(2.0, size=count)
    return activation_n


def noisy(generator, activation_n, keep=0.8):
    """What another dictionary makes of it: some places lost, others won, all of other size."""
    kept = activation_n * (generator.random(PAIRS) < keep) * generator.gamma(8.0, 1 / 8, PAIRS)
    return kept + sparse(generator, max(1, int((activation_n > 0).sum() * (1 - keep))))


@pytest.mark.parametrize("count", [1, 5, 40, 120])
def test_where_all_places_are_kept_it_is_the_correlation_of_all_activations(count):
    generator = np.random.default_rng(count)
    first = sparse(generator, count)
    for other in (first, noisy(generator, first), sparse(generator, 100)):
        expected = np.corrcoef(first, other)[0, 1]
        found = fingerprint(first, MAX_LISTED_FIRINGS - 1).correlation(
            fingerprint(other, MAX_LISTED_FIRINGS - 1)
        )
        assert found == pytest.approx(expected, abs=1e-9)


def test_where_some_are_kept_it_is_near_that_without_a_bias():
    generator = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        first = sparse(generator, int(generator.integers(200, 1200)))
        other = noisy(generator, first)
        expected = np.corrcoef(first, other)[0, 1]
        errors.append(fingerprint(first).correlation(fingerprint(other)) - expected)
    assert abs(np.mean(errors)) < 0.02
    assert np.std(errors) < 0.06


def test_a_rare_and_a_frequent_one_are_compared_where_both_are_known():
    generator = np.random.default_rng(1)
    frequent = sparse(generator, 1500)
    rare = frequent * (np.arange(PAIRS) < 400)  # fires within the other, but is another
    expected = np.corrcoef(frequent, rare)[0, 1]
    assert fingerprint(frequent).correlation(fingerprint(rare)) == pytest.approx(expected, abs=0.1)


def listed(*activations, pairs=PAIRS, kept=MAX_PLACES):
    """Of a difference that fires at the places of least rank of some, with these activations."""
    ordered = sorted((f"{n:016x}", n) for n in range(300))
    ordered.sort(key=rank)
    firing = tuple(Firing("d", *place, a) for place, a in zip(ordered, activations, strict=False))
    return Fingerprint.of(dataclasses.replace(make_difference(), firing=firing), pairs, kept)


def test_it_speaks_for_all_places_where_none_is_left_out():
    assert MAX_PLACES == 128
    assert listed(*[1.0] * 128).share == 1.0
    cut = listed(*[1.0] * 129)
    assert len(cut.places) == 128
    assert cut.share == max(map(rank, cut.places))


def test_a_list_that_may_be_longer_speaks_for_its_own_ranks():
    """A result lists so many places at most, so there may be more of them."""
    assert listed(*[1.0] * 255, kept=999).share == 1.0
    full = listed(*[1.0] * MAX_LISTED_FIRINGS, kept=999)
    assert full.share == max(map(rank, full.places)) < 1.0


def test_the_last_place_that_both_speak_for_counts():
    """Two places are kept of the first; in its share of the text are 200 of 4,000 pairs or so."""
    first, other = listed(1.0, 3.0, 9.0, kept=2), listed(2.0, 5.0, 7.0)
    n = first.share * PAIRS
    product = (1 * 2 + 3 * 5) - (1 + 3) * (2 + 5) / n
    spread = (1 + 9 - 4**2 / n) * (4 + 25 - 7**2 / n)
    assert first.correlation(other) == pytest.approx(product / spread**0.5, rel=1e-12)


def test_places_that_both_have_are_counted_once():
    """Three pairs, on which one rises as the other falls."""
    assert listed(1.0, 2.0, 3.0, pairs=3).correlation(listed(3.0, 2.0, 1.0, pairs=3)) == (
        pytest.approx(-1.0)
    )


def test_those_that_fire_at_other_places_do_not_correlate():
    generator = np.random.default_rng(2)
    first = sparse(generator, 100)
    other = sparse(generator, 100) * (first == 0)
    assert -0.1 < fingerprint(first).correlation(fingerprint(other)) < 0.0


def test_it_does_not_depend_on_which_comes_first_or_on_their_scale():
    generator = np.random.default_rng(3)
    first = sparse(generator, 300)
    other = noisy(generator, first)
    one, two = fingerprint(first), fingerprint(other)
    assert one.correlation(two) == pytest.approx(two.correlation(one), abs=1e-12)
    for scale in (7, 1e-3):
        found = fingerprint(scale * first).correlation(two)
        assert found == pytest.approx(one.correlation(two), abs=1e-9)


def test_what_never_fires_correlates_with_nothing():
    nothing = fingerprint(np.zeros(PAIRS))
    assert nothing.correlation(nothing) == 0.0
    assert nothing.correlation(fingerprint(np.ones(PAIRS))) == 0.0


def test_of_tokens_that_end_at_one_character_the_strongest_counts():
    same = tuple(Firing("d", "a" * 16, 3, activation) for activation in (1.0, 5.0, 2.0))
    found = Fingerprint.of(dataclasses.replace(make_difference(), firing=same), 10)
    assert dict(found.places) == {("a" * 16, 3): 5.0}


def test_ranks_are_spread_evenly():
    ranks = [rank((f"{n:016x}", n)) for n in range(2000)]
    assert np.histogram(ranks, 4, (0, 1))[0] == pytest.approx([500] * 4, abs=80)
