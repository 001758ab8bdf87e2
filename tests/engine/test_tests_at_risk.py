"""What keeps the texts of tests from being read is said; the tests are listed all the same."""

import pytest

from pytest_crossdiff.engine.tests_at_risk import NO_RESULT, find_tests_at_risk
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.results.tests import RecordedRun, RecordedText
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.cache import Store
from support import planted
from support.results import make_result


def runs(*, texts=True, apart=True):
    return [
        RecordedRun(
            f"test_it[{side}]",
            (side,),
            side == "baseline" or not apart,
            (RecordedText(side, (("user", "Why?"),), "So."),) * texts,
        )
        for side in SIDES
    ]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return planted.quick(planted.plain(folder / "v1"), planted.merged(folder / "v2"), folder / "c")


def find(recorded, settings, *results):
    store = Store.at(settings.cache_dir)
    return find_tests_at_risk(recorded, results, settings, store, SilentProgress())


@pytest.mark.parametrize(
    ("recorded", "others", "words"),
    [
        (runs(), {"train": "never"}, "crossdiff_train = never"),
        (runs(texts=False), {}, "the tests recorded no texts"),
        (runs(), {}, NO_RESULT),
        (runs(), {"candidate": "./nowhere"}, "nowhere"),
    ],
)
def test_the_reason_stands_beside_the_list(settings, recorded, others, words):
    found = find(recorded, settings.with_values(**others))
    assert words in found.reason
    assert [(test.name, test.passes) for test in found.tests] == [("test_it[*]", "baseline")]


def test_the_result_of_other_models_explains_nothing(settings):
    assert find(runs(), settings, make_result()).reason == NO_RESULT


def test_tests_that_agree_are_no_list(settings):
    assert find(runs(apart=False), settings.with_values(candidate="./nowhere")) is None


def test_settings_alone_need_no_models():
    assert find(runs(apart=False), Settings()) is None
