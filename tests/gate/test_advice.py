"""What would decide an inconclusive verdict: dictionaries where they are few that have it, else
text, as much as brings the interval off the threshold and the p-value below the correction's.
"""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from scipy.stats import norm

from pytest_crossdiff.engine.verification.exclusivity import benjamini_hochberg
from pytest_crossdiff.gate.advice import advice, text_factor
from pytest_crossdiff.gate.budgets import Budgets, Limits
from pytest_crossdiff.gate.verdict import compute_verdict
from support.results import make_difference, make_feature, make_model, make_result


def feature(seed, index=1, *, low=0.4, p=0.2, **others):
    """An undecided one, its exclusivity 0.6 by estimate, of a threshold of 0.5."""
    undecided = {"exclusivity": 0.6, "exclusivity_low": low, "p_value": p, "undecided": True}
    return dataclasses.replace(make_feature(index), **{"seed": seed} | undecided | others)


def verified(seed, index=1, **others):
    found = {"p_value": 1e-4, "undecided": False, "rejected": ""}
    return feature(seed, index, low=0.55, **found | others)


def result_of(*features, of="C1", among=()):
    """One possible difference of these features, `among` others, found by three dictionaries."""
    seeds = tuple(sorted({f.seed for f in features}))
    ids = tuple(f.id for f in features)
    difference = dataclasses.replace(
        make_difference(of, certainty="possible"), seeds=seeds, features=ids
    )
    return make_result(difference, features=(*features, *among))


def advised(result):
    limits = Limits(0, None)
    verdict = compute_verdict(result, Budgets(limits, limits, 0.3))
    assert verdict.status == "inconclusive"
    return list(advice(result, verdict))


def times(result):
    return text_factor(result.differences[0], result)


def test_what_few_dictionaries_have_is_decided_by_more_of_them():
    (text,) = advised(result_of(verified(0)))
    assert text == (
        "1 of 3 dictionaries has C1; 15 would decide it: `pytest --crossdiff --crossdiff-seeds=15`"
    )


def test_the_cost_is_that_of_training_and_testing_in_this_run():
    result = result_of(verified(0))
    for training, cost in ((84.0, ", about 6 minutes more: "), (0.2, ": ")):  # or from the cache
        seconds = {"read baseline": 50.0, "train crosscoder": training, "verify features": 6.0}
        (text,) = advised(dataclasses.replace(result, seconds=seconds))
        assert f"15 would decide it{cost}`pytest" in text


def dictionaries(result, count):
    """The same, of so many dictionaries."""
    training = dataclasses.replace(result.training, seeds=tuple(range(count)))
    return dataclasses.replace(result, training=training)


def test_what_is_not_known_of_a_step_costs_nothing():
    result = result_of(verified(0))
    (text,) = advised(dataclasses.replace(result, seconds={"train crosscoder": 3.0}))
    assert "15 would decide it, about 10 seconds more: " in text  # 1 s each, 12 more, rounded
    tested = {"train crosscoder": 3.0, "verify features": 6.0}
    assert ", about 40 seconds more: " in advised(dataclasses.replace(result, seconds=tested))[0]
    single = dictionaries(result_of(feature(0)), 1)
    (text,) = advised(dataclasses.replace(single, seconds={}))
    assert "seconds" not in text


@pytest.mark.parametrize(
    ("count", "named"),
    [(2, "C1, C2"), (3, "C1, C2, C3"), (4, "C1, C2, C3 and 1 more"), (6, "C1, C2, C3 and 3 more")],
)
def test_several_that_few_dictionaries_have_are_named_together(count, named):
    parts = [result_of(verified(0, n), of=f"C{n}") for n in range(1, count + 1)]
    together = make_result(
        *(d for part in parts for d in part.differences),
        features=tuple(f for part in parts for f in part.features),
    )
    (text,) = advised(together)
    assert text.startswith(f"too few of the 3 dictionaries have {named}; 15 would decide them: ")


def test_the_command_is_that_of_the_test():
    limits = Limits(0, None)
    result = result_of(verified(0))
    (text,) = advice(result, compute_verdict(result, Budgets(limits, limits, 0.3)), "pytest a.py")
    assert text.endswith("`pytest a.py --crossdiff-seeds=15`")


def test_an_interval_that_holds_the_threshold_is_decided_by_text():
    (text,) = advised(result_of(*(feature(seed, p=0.01) for seed in range(3))))
    assert text == (  # 0.2 long, 0.1 is allowed
        "about 4.0 times as much text would decide C1; add texts to the corpus, then: "
        "`pytest --crossdiff --crossdiff-tokens=200000`"
    )
    seconds = {"read baseline": 50.0, "read candidate": 40.0, "train crosscoder": 60.0}
    result = result_of(*(feature(seed, p=0.01) for seed in range(3)))
    (text,) = advised(dataclasses.replace(result, seconds=seconds))
    assert "would decide C1, about 10 minutes in all; add" in text


@pytest.mark.parametrize(("p", "found"), [(0.03, 0), (0.03, 5), (0.004, 0), (0.004, 2)])
def test_one_that_only_the_correction_for_many_tests_keeps_open_is_decided_by_text(p, found):
    others = [verified(seed, 100 + i) for seed in range(3) for i in range(found)]
    tested = 60
    rest = [
        feature(seed, 200 + i, p=0.9, undecided=False)
        for seed in range(3)
        for i in range(tested - 1 - found)
    ]
    result = result_of(*(feature(seed, low=0.51, p=p) for seed in range(3)), among=others + rest)

    def significant(of_p):
        p_values = [of_p] + [1e-4] * found + [0.9] * (tested - 1 - found)
        return benjamini_hochberg(np.array(p_values), 0.05)[0]

    assert not significant(p)
    (text,) = advised(result)
    assert re.match(r"about \d+\.\d times as much text would decide C1; ", text)
    z = norm.isf(p)
    assert significant(norm.sf(z * np.sqrt(times(result) * 1.01)))
    assert not significant(norm.sf(z * np.sqrt(times(result) * 0.99)))


def test_a_p_value_of_0_is_as_good_as_a_very_small_one():
    def of_p(p):
        return times(result_of(*(feature(seed, p=p) for seed in range(3))))

    assert of_p(0.0) == of_p(1e-200) == pytest.approx(4.0)


def test_as_many_dictionaries_as_make_a_majority_have_to_verify_it():
    near, far = {"low": 0.5, "p": 1e-3}, {"low": 0.2, "p": 1e-3}
    ease, labour = 1.0, 16.0
    assert times(result_of(feature(0, **near), feature(1, **far))) == pytest.approx(labour)
    third = result_of(feature(0, **near), feature(1, **far), feature(2, **near))
    assert times(third) == pytest.approx(ease)
    assert times(result_of(verified(0), feature(1, **near))) == pytest.approx(ease)
    twice = result_of(verified(0), feature(1, **far), feature(1, index=2, **near))
    assert times(twice) == pytest.approx(ease)  # one feature of a dictionary is enough


def test_of_five_dictionaries_three_have_to_verify_it():
    lows = (0.5, 0.4, 0.3, 0.2, 0.1)  # 1, 4, 9, 16, 25 times the text
    result = result_of(*(feature(seed, low=low, p=1e-9) for seed, low in enumerate(lows)))
    assert times(dictionaries(result, 5)) == pytest.approx(9.0)


def test_features_of_just_the_least_variance_are_among_those_tested():
    """The more are tested, the smaller a p-value has to be."""

    def needed(r2_own):
        others = [feature(s, 9 + i, r2_own=r2_own, p=0.9) for s in range(3) for i in range(59)]
        return times(result_of(*(feature(s, low=0.51, p=0.03) for s in range(3)), among=others))

    assert needed(0.25) == needed(0.5) > needed(0.2499)


def test_what_is_rewritten_goes_by_its_own_interval():
    own = {"kind": "rewritten", "r2_own": 0.3, "r2_own_low": 0.2, "p": 0.9}
    (text,) = advised(result_of(*(feature(seed, low=0.51, **own) for seed in range(3))))
    assert text.startswith(
        "about 4.0 times as much text would decide C1; "
    )  # of 0.1, 0.05 above the least R²


@pytest.mark.parametrize("near", [{"low": 0.4, "exclusivity": 0.505}, {"low": 0.51, "p": 0.5}])
def test_no_text_is_advised_that_nobody_has(near):
    (text,) = advised(result_of(*(feature(seed, **near) for seed in range(3))))
    assert text == "hardly more text: the estimate is too close to the threshold"


@pytest.mark.parametrize(
    ("times", "words"), [(29.9, "about 29.9 times"), (30.9, "hardly more text")]
)
def test_up_to_thirty_times_the_text_is_advised(times, words):
    low = 0.6 - 0.1 * (times - 0.01) ** 0.5
    (text,) = advised(result_of(*(feature(seed, low=low, p=1e-9) for seed in range(3))))
    assert text.startswith(words)


def test_both_are_advised_where_both_are_missing():
    rare, unsure = result_of(verified(0)), result_of(feature(1), feature(2), of="C2")
    both = make_result(
        *rare.differences, *unsure.differences, features=rare.features + unsure.features
    )
    assert [text.split()[0] for text in advised(both)] == ["1", "about"]


@pytest.mark.parametrize(
    ("exclusivity", "kind", "text"),
    [
        (0.93, "exclusive", "not more text: at this model distance only differences of higher"),
        (0.95, "exclusive", "not more text: at this model distance only differences of higher"),
        (0.96, "exclusive", "hardly more text: the estimate is too close to the threshold"),
        (0.5, "exclusive", "hardly more text: the estimate is too close to the threshold"),
        (0.93, "rewritten", "hardly more text: the estimate is too close to the threshold"),
    ],
)
def test_text_does_not_help_where_the_distance_of_the_models_stands_in_the_way(
    exclusivity, kind, text
):
    result = result_of(*(feature(seed) for seed in range(3)))
    (found,) = result.differences
    far = dataclasses.replace(
        result,
        candidate=make_model(required_exclusivity=0.95),
        differences=(dataclasses.replace(found, exclusivity=exclusivity, kind=kind),),
    )
    (said,) = advised(far)
    assert said.startswith(text)
