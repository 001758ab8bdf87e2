"""The size of a dictionary that nobody chose: by the pairs there are, and bounded by the widths."""

import pytest

from pytest_crossdiff.engine.dictionary.sizing import choose_crosscoder_config
from pytest_crossdiff.settings import Settings


def size(pairs, widths, **settings):
    return choose_crosscoder_config(Settings(**settings), pairs, *widths).features


@pytest.mark.parametrize(
    ("pairs", "widths", "expected"),
    [
        (1_000, (384, 384), 128),
        (11_134, (384, 384), 544),
        (40_960, (48, 32), 2_048),
        (109_261, (48, 32), 2_048),  # of narrow models as many as of middling ones
        (109_261, (384, 384), 2_048),
        (109_261, (384, 1_024), 4_096),
        (546_000, (384, 384), 2_048),
        (546_000, (4_096, 4_096), 16_384),
    ],
)
def test_a_feature_for_twenty_pairs_until_there_are_four_for_each_dimension(
    pairs, widths, expected
):
    assert size(pairs, widths) == expected


def test_a_size_that_is_set_is_kept():
    assert size(109_261, (384, 384), features=5_440) == 5_440
