"""What a model writes from the first words of texts."""

from __future__ import annotations

import contextlib
from collections import Counter

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.engine.population.writing import TOKENS, whole_words, write
from pytest_crossdiff.progress import SilentProgress
from support import planted


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that is sure of each next token: drawing from it is taking the likeliest one."""
    path = planted.plain(tmp_path_factory.mktemp("models") / "sure")
    model = AutoModelForCausalLM.from_pretrained(path)
    with torch.no_grad():
        model.model.norm.weight *= 1e4
    model.save_pretrained(path)
    return path


TEXTS = {0: "one two three four five six", 7: "the cat sat on the mat", 9: "too short"}


def test_words_are_those_of_the_likeliest_continuation_one_text_at_a_time(folder):
    found = write(load(str(folder), layer=1.0, device="cpu"), TEXTS, "it", SilentProgress())
    words = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    expected: Counter[str] = Counter()
    total = 0
    for text in ("one two three four", "the cat sat on"):
        ids = words(text, add_special_tokens=False, return_tensors="pt").input_ids
        first = ids.shape[1]
        for _ in range(TOKENS):
            with torch.no_grad():
                following = model(ids).logits[0, -1].argmax()
            if following == words.eos_token_id:
                break
            ids = torch.cat((ids, following[None, None]), dim=1)
        before = words.decode(ids[0, :first], skip_special_tokens=True)
        continued = words.decode(ids[0], skip_special_tokens=True)[len(before) :]
        total += len(whole_words(continued))
        expected.update(set(whole_words(continued)))
    assert (dict(found.continuations), found.words) == (dict(expected), total)
    assert found.words > 0


def test_the_same_is_written_again_and_nothing_else_is_drawn_otherwise(tmp_path):
    model = load(str(planted.plain(tmp_path / "plain")), layer=1.0, device="cpu")
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    one = write(model, TEXTS, "it", SilentProgress())
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(4)
    assert write(model, TEXTS, "it", SilentProgress()) == one


@pytest.mark.parametrize(
    ("continuation", "words"),
    [
        (" peace and war.", ["peace", "and", "war", "."]),
        ("ful peace, and wa", ["peace", ",", "and"]),
        ("ful", []),
        (" don't", ["don", "'"]),
        ("", []),
    ],
)
def test_a_word_that_may_be_cut_is_no_word(continuation, words):
    assert whole_words(continuation) == words


def test_each_step_of_a_batch_is_shown(folder):
    shown: list[int] = []

    class Bar:
        def advance(self, count: int) -> None:
            shown.append(count)

    class Told(SilentProgress):
        @contextlib.contextmanager
        def phase(self, name: str, total: int, unit: str):
            assert (name, total, unit) == ("it goes on with texts", 2 * TOKENS, "token")
            yield Bar()

    write(load(str(folder), layer=1.0, device="cpu"), TEXTS, "it", Told())
    assert sum(shown) == 2 * TOKENS
    assert max(shown[:-1]) <= 2
