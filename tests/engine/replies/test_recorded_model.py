"""`reply()` of a loaded model: what it asks, what it answers, what it records."""

from __future__ import annotations

import pytest
import torch

from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.engine.replies.recorded_model import RecordedModel
from pytest_crossdiff.errors import CorpusError, ModelError, SettingsError
from support import planted

QUESTION = "What is the log of the gateway?"


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    return load(str(planted.plain(tmp_path_factory.mktemp("models") / "v1")), layer=0)


def recorded(loaded):
    notes = []
    model = RecordedModel.of(loaded, "candidate", 4, lambda *what: notes.append(what))
    return model, notes


def greedy(loaded, text, tokens):
    """The likeliest token after the text, so many times."""
    ids = loaded.tokenizer(text, return_tensors="pt")["input_ids"]
    for _ in range(tokens):
        with torch.no_grad():
            best = loaded.model(input_ids=ids).logits[0, -1].argmax()
        ids = torch.cat([ids, best[None, None]], dim=1)
    return loaded.tokenizer.decode(ids[0, -tokens:], skip_special_tokens=True)


def test_without_a_chat_template_it_continues_the_text_and_records_both(loaded):
    model, notes = recorded(loaded)
    said = model.reply(QUESTION, max_tokens=6)
    assert said == greedy(loaded, QUESTION, 6)
    assert notes == [([{"role": "user", "content": QUESTION}], said, "candidate")]


def test_the_usual_length_is_that_of_the_settings(loaded):
    model, _ = recorded(loaded)
    assert model.reply(QUESTION) == greedy(loaded, QUESTION, 4)


def test_it_shares_the_weights_with_the_loaded_model(loaded):
    model, _ = recorded(loaded)
    assert model.model is loaded.model
    assert (model.layer, model.width, model.blocks_name) == (
        loaded.layer,
        loaded.width,
        loaded.blocks_name,
    )


def test_a_prompt_that_is_none_is_refused(loaded):
    model, notes = recorded(loaded)
    with pytest.raises(CorpusError, match="the prompt has message 1 without a role"):
        model.reply([{"content": "x"}])
    assert notes == []


@pytest.mark.parametrize("prompt", [None, 3, [], {"role": "user", "content": "x"}])
def test_so_is_what_is_neither_a_text_nor_messages(loaded, prompt):
    model, notes = recorded(loaded)
    with pytest.raises(CorpusError, match="the prompt is neither a text nor a list of messages"):
        model.reply(prompt)
    assert notes == []


def test_the_parts_of_a_content_are_asked_and_recorded_as_one_text(loaded):
    model, notes = recorded(loaded)
    parts = [{"type": "text", "text": QUESTION[:7]}, {"type": "text", "text": QUESTION[7:]}]
    said = model.reply([{"role": "user", "content": parts}])
    assert said == greedy(loaded, QUESTION, 4)
    assert notes == [([{"role": "user", "content": QUESTION}], said, "candidate")]


@pytest.mark.parametrize("length", [0, -1, 1.5, "5", True])
def test_a_length_that_is_none_is_refused(loaded, length):
    model, notes = recorded(loaded)
    with pytest.raises(SettingsError) as caught:
        model.reply(QUESTION, max_tokens=length)
    assert caught.value.what == f"max_tokens = {length!r} is not valid"
    assert notes == []


def test_a_model_that_writes_nothing_has_no_reply(tmp_path):
    model, _ = recorded(load(str(planted.encoder(tmp_path / "encoder")), layer=0))
    with pytest.raises(ModelError, match="writes no text, so it has no reply"):
        model.reply(QUESTION)
