"""Which features are named."""

from __future__ import annotations

import numpy as np

from pytest_crossdiff.engine.population.judging.features import explaining, weightings_of

SLICE, WORD, ELSEWHERE, ALONE = range(4)
FEATURES = weightings_of(
    {
        "in help": np.arange(100),
        "on 'x'": np.arange(10),
        "on 'y'": np.arange(100, 120),
        "on 'z'": np.arange(200, 230),
        **{f"on 'help {w}'": np.arange(10 * w, 10 * w + 10) for w in range(1, 8)},
    }
)


def test_a_slice_is_named_before_its_words_though_one_deviates_more():
    shift_f = np.where(np.arange(FEATURES.size) < 2, 1.0, 0.0)
    shift_f[4:] = 1.0
    scale_f = np.full(FEATURES.size, 0.25)
    scale_f[WORD] = 0.2
    assert explaining(FEATURES, shift_f, scale_f, 1) == [SLICE]


def test_what_is_explained_is_not_named_again():
    shift_f = np.ones(FEATURES.size)
    shift_f[ELSEWHERE] = 0.9
    shift_f[ALONE] = 0.8
    scale_f = np.full(FEATURES.size, 0.2)
    assert explaining(FEATURES, shift_f, scale_f, 3) == [SLICE, ELSEWHERE, ALONE]


def test_a_word_that_deviates_alone_is_named_and_its_slice_is_not():
    shift_f = np.zeros(FEATURES.size)
    shift_f[[SLICE, WORD]] = 0.1, 1.0  # a tenth of the slice's spans
    scale_f = np.full(FEATURES.size, 0.2)
    assert explaining(FEATURES, shift_f, scale_f, 1) == [WORD]


def test_where_nothing_deviates_much_the_largest_is_first():
    shift_f = np.linspace(0.01, 0.1, FEATURES.size)
    found = explaining(FEATURES, shift_f, np.ones(FEATURES.size), FEATURES.size + 5)
    assert found[0] == FEATURES.size - 1
    assert sorted(found) == list(range(FEATURES.size))


def test_a_feature_on_spans_of_its_own_explains_itself_alone():
    joined = FEATURES.with_own_spans(["writes 'new'", "writes 'old'"])
    new = FEATURES.size
    assert joined.names[new:] == ("writes 'new'", "writes 'old'")
    shift_f = np.append(np.ones(FEATURES.size), (9.0, 1.0))
    found = explaining(joined, shift_f, np.full(joined.size, 0.2), 2)
    assert found == [new, SLICE]
