"""What a model writes from the first words of texts."""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from pytest_crossdiff.engine.corpus.messages import Message
from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.engine.population.writing import TOKENS, beginnings, whole_words, write
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


PIECES = [
    Piece(n, 0, text, (), heldout=True)
    for n, text in enumerate(("one two three four five six", "the cat sat on the mat", "too short"))
]


def written(model, pieces=PIECES, progress=None, chat_template="own"):
    return write(
        model,
        beginnings(pieces),
        chat_template=chat_template,
        label="it",
        progress=progress or SilentProgress(),
    )


def test_words_are_those_of_the_likeliest_continuation_one_text_at_a_time(folder):
    found = written(load(str(folder), layer=1.0, device="cpu"))
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
    one = written(model)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(4)
    assert written(model) == one


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

    written(load(str(folder), layer=1.0, device="cpu"), progress=Told())
    assert sum(shown) == 2 * TOKENS
    assert max(shown[:-1]) <= 2


CHAT = (Message("system", "one two"), Message("user", "the cat"), Message("assistant", "sat on"))
TEMPLATE = """{% for m in messages %}<{{ m.role }}>{{ m.content }}
{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"""


@pytest.mark.parametrize(
    ("template", "asked"),
    [("own", "<system>one two\n<user>the cat\n<assistant>"), ("plain", "one two\nthe cat\n")],
)
def test_conversations_are_answered_and_the_first_word_of_an_answer_is_whole(
    folder, tmp_path, template, asked
):
    path = shutil.copytree(folder, tmp_path / "chat")
    (path / "chat_template.jinja").write_text(TEMPLATE)
    model = load(str(path), layer=1.0, device="cpu")
    unanswered = [
        Piece(0, 0, None, CHAT, heldout=True),
        Piece(1, 0, None, (Message("assistant", "nobody asked"),), heldout=True),
    ]
    found = written(model, unanswered, chat_template=template)
    ids = model.tokenizer(asked, add_special_tokens=False, return_tensors="pt").input_ids
    made = model.model.generate(
        ids, do_sample=False, max_new_tokens=TOKENS, pad_token_id=0, repetition_penalty=1.0
    )
    before = model.tokenizer.decode(ids[0], skip_special_tokens=True)
    answer = model.tokenizer.decode(made[0], skip_special_tokens=True)[len(before) :]
    words = whole_words(answer, begun=False)
    assert (found.made, found.words, dict(found.continuations)) == (
        1,
        len(words),
        dict.fromkeys(words, 1),
    )
    assert words


def test_the_beginning_of_a_long_conversation_gives_way_to_what_is_written(folder):
    model = load(str(folder), layer=1.0, device="cpu")
    long = Message("user", "the cat sat on the mat " * 200)
    model.max_length = TOKENS + 10
    found = written(model, [Piece(0, 0, None, (long,), heldout=True)], chat_template="plain")
    assert found.made == 1
