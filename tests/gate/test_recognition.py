"""Accepted differences are found again one to one, and let pass no more than was accepted."""

from __future__ import annotations

import dataclasses
import datetime
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_crossdiff.gate.fingerprint import Fingerprint
from pytest_crossdiff.gate.recognition import compare, one_to_one, recognise, without_accepted
from pytest_crossdiff.gate.slot import Slot
from pytest_crossdiff.results.difference import Firing
from support.results import make_difference, make_entry, make_result

TODAY = datetime.date(2026, 6, 1)
SLOT = Slot("texts", "0.5", "0.5")


def difference(name, places, strength=0.01, side=None):
    """One that fires at these characters of one piece of text."""
    firing = tuple(Firing("d", "f" * 16, end, 1.0) for end in places)
    side = side or ("candidate" if name.startswith("C") else "baseline")
    return dataclasses.replace(make_difference(name, side, strength=strength), firing=firing)


def entry_for(d, id_="", **changes):
    print_ = Fingerprint.of(d, 300)
    of_it = {"side": d.side, "seen_as": d.id, "strength": d.strength, "fingerprint": print_}
    return make_entry(**{"id": id_ or f"{d.side[0]}-{d.id}", "slot": SLOT} | of_it | changes)


def found(result, *entries, growth=1.5, today=TODAY):
    return recognise(result, entries, growth=growth, today=today)


def test_a_difference_is_known_by_where_it_fires_whatever_its_id():
    before = difference("C7", range(40))
    after = difference("C1", range(4, 44))
    (known,) = found(make_result(after), entry_for(before)).found
    assert (known.difference, known.entry.seen_as, known.state) == ("C1", "C7", "accepted")
    assert 0.85 < known.correlation < 0.95


def test_one_that_fires_elsewhere_is_new_and_the_entry_is_missing():
    result = make_result(difference("C1", range(100, 140)))
    entry = entry_for(difference("C1", range(40)))
    recognition = found(result, entry)
    assert recognition.found == ()
    assert recognition.missing == (entry,)
    assert not recognition.accepts("C1")


def test_of_two_results_it_is_known_what_is_new_gone_and_kept_whatever_the_ids():
    was = difference("C2", range(40)), difference("C1", range(100, 140))
    now = difference("C1", range(4, 44), 0.02), difference("B1", range(100, 140))
    change = compare(make_result(*was), make_result(*now))
    assert change.kept == ((was[0], now[0]),)
    assert change.gone == (was[1],)  # the baseline's fires at its places, but is another
    assert change.new == (now[1],)


def test_an_entry_of_the_other_side_does_not_count():
    places = range(40)
    entry = entry_for(difference("B1", places))
    assert found(make_result(difference("C1", places)), entry).found == ()


def test_one_entry_lets_one_difference_pass():
    result = make_result(difference("C1", range(40)), difference("C2", range(2, 42)))
    recognition = found(result, entry_for(difference("C1", range(2, 42))))
    assert [r.difference for r in recognition.found] == ["C2"]


def test_each_of_several_is_known_by_its_own():
    before = [difference(f"C{i}", range(50 * i, 50 * i + 40)) for i in range(5)]
    after = [difference(f"C{9 - i}", range(50 * i + 3, 50 * i + 43)) for i in range(5)]
    recognition = found(make_result(*after), *map(entry_for, before))
    known = {r.entry.seen_as: r.difference for r in recognition.found}
    assert known == {f"C{i}": f"C{9 - i}" for i in range(5)}
    assert recognition.missing == ()


@pytest.mark.parametrize(
    ("strength", "state"), [(0.001, "accepted"), (0.015, "accepted"), (0.0151, "grown")]
)
def test_one_that_has_grown_beyond_the_factor_counts_again(strength, state):
    entry = entry_for(difference("C1", range(40), 0.01))
    recognition = found(make_result(difference("C1", range(40), strength)), entry)
    assert recognition.found[0].state == state
    assert recognition.accepts("C1") == (state == "accepted")


def test_growth_is_growth_however_much_dictionaries_differ():
    """One makes it no stronger than it was accepted; overall it is three times that."""
    entry = entry_for(difference("C1", range(40), 0.01))
    now = difference("C1", range(40), 0.03)
    now = dataclasses.replace(now, seeds=(0, 1, 2), strength_low=0.01, strength_high=0.05)
    assert found(make_result(now), entry, growth=2.0).found[0].state == "grown"


def test_growth_that_is_not_a_number_counts_as_growth():
    entry = entry_for(difference("C1", range(40)))
    recognition = found(make_result(difference("C1", range(40), math.nan)), entry)
    assert recognition.found[0].state == "grown"


@pytest.mark.parametrize(("day", "state"), [(1, "accepted"), (2, "expired")])
def test_an_entry_holds_up_to_its_last_day(day, state):
    entry = entry_for(difference("C1", range(40)), expires=TODAY)
    today = TODAY.replace(day=day)
    recognition = found(make_result(difference("C1", range(40))), entry, today=today)
    assert recognition.found[0].state == state
    assert recognition.accepts("C1") == (state == "accepted")


def test_what_was_accepted_counts_neither_by_number_nor_by_strength():
    first, second = difference("C1", range(40), 0.03), difference("C2", range(50, 90), 0.01)
    result = make_result(first, second, candidate_strength=0.036)
    left = without_accepted(result, found(result, entry_for(first)))
    assert [d.id for d in left.differences] == ["C2"]
    assert left.total_strength("candidate") == pytest.approx(0.01)
    assert left.total_strength("baseline") == 0.0
    assert without_accepted(result, found(result)) is result


def test_a_joint_strength_above_the_sum_is_shared_out():
    first, second = difference("C1", range(40), 0.03), difference("C2", range(50, 90), 0.01)
    result = make_result(first, second, candidate_strength=0.08)
    left = without_accepted(result, found(result, entry_for(first)))
    assert left.total_strength("candidate") == pytest.approx(0.02)


@given(
    st.lists(st.floats(0, 0.2), min_size=1, max_size=5), st.floats(0, 1), st.sets(st.integers(0, 4))
)
def test_accepting_never_adds_to_what_counts(strengths, total, accepted):
    differences = [
        difference(f"C{i}", range(50 * i, 50 * i + 40), s) for i, s in enumerate(strengths)
    ]
    result = make_result(*differences, candidate_strength=total)
    entries = [entry_for(differences[i]) for i in accepted if i < len(differences)]
    left = without_accepted(result, found(result, *entries))
    assert len(left.differences) == len(differences) - len(entries)
    assert left.total_strength("candidate") <= total


@given(st.dictionaries(st.tuples(st.integers(0, 4), st.integers(0, 4)), st.floats(0.5, 1)))
def test_matching_is_one_to_one_and_leaves_no_pair_that_could_be_added(pairs):
    alike = [(value, f"e{i}", f"d{j}") for (i, j), value in pairs.items()]
    chosen = one_to_one(alike)
    assert set(chosen) <= set(alike)
    for side in (1, 2):
        taken = [pair[side] for pair in chosen]
        assert len(taken) == len(set(taken))
    for pair in alike:
        assert any(pair[1] == c[1] or pair[2] == c[2] for c in chosen)


@given(st.permutations(range(4)), st.data())
def test_where_each_is_most_like_its_own_matching_finds_the_largest_sum(order, data):
    """Against all permutations; the true partner correlates above all others of either."""
    own = [data.draw(st.floats(0.8, 1.0)) for _ in order]
    others = {
        (i, j): data.draw(st.floats(0.5, 0.79)) for i in range(4) for j in range(4) if j != order[i]
    }
    value = others | {(i, order[i]): own[i] for i in range(4)}
    chosen = one_to_one((v, f"{i}", f"{j}") for (i, j), v in value.items())
    best = max(sum(value[i, p[i]] for i in range(4)) for p in itertools.permutations(range(4)))
    assert sum(v for v, _, _ in chosen) == pytest.approx(best)


def test_pairs_that_are_as_alike_are_taken_by_name():
    ties = [(0.9, "c-2", "C1"), (0.9, "c-1", "C2"), (0.9, "c-1", "C1"), (0.9, "c-2", "C2")]
    assert one_to_one(ties) == [(0.9, "c-1", "C1"), (0.9, "c-2", "C2")]
