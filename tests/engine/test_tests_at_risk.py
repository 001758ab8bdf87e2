"""What keeps the texts of tests from being read is said; the tests are listed all the same."""

import copy

import pytest

from pytest_crossdiff.engine.explanation.recorded_texts import readable
from pytest_crossdiff.engine.tests_at_risk import NO_RESULT, find_tests_at_risk
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.report.output.at_risk import how_many
from pytest_crossdiff.results.tests import RecordedRun, RecordedText, TestsAtRisk
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.cache import Store
from support import planted
from support.results import make_result
from support.tokenizers import tokenizer as tiny


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


TEMPLATE = """\
{% if messages[0].role != "user" %}{{ raise_exception("begin with the user") }}{% endif %}\
{% for m in messages %}<|{{ m.role }}|>{{ m.content }}
{% endfor %}"""


def test_a_text_that_a_chat_template_refuses_keeps_no_other_from_being_read():
    tokenizer = copy.deepcopy(tiny("byte-level BPE"))
    tokenizer.chat_template = TEMPLATE
    said = RecordedText("baseline", (("user", "Why?"),), "So.")
    empty = RecordedText("baseline", (("user", ""),), " ")
    odd = RecordedText("candidate", (("tool", "x"),), "So.")
    taken, refused = readable([empty, said, odd], [tokenizer, tokenizer], "own")
    assert taken == [said]
    assert refused[0] == "prompt and answer are empty"
    assert refused[1].endswith("refuses a conversation of tool, assistant: begin with the user")
    assert readable([empty, odd], [tokenizer], "plain") == ([odd], refused[:1])


def test_how_many_texts_were_not_read_stands_beside_the_list():
    found = TestsAtRisk((), 4, 3, 2, unread=("prompt and answer are empty",))
    assert how_many(found) == (
        "0 of 4 tests that ran on both models; 2 differences compared on the texts of 3 of them "
        "(permutation test); 1 text not read: prompt and answer are empty"
    )
