"""What is measured of conversations: the models' own turns, from where each is begun, once."""

import copy
import functools

import numpy as np
import pytest
import torch
import transformers as tf

from pytest_crossdiff.engine.activations import out_of_distribution
from pytest_crossdiff.engine.activations.compared import ConversationPairs
from pytest_crossdiff.engine.activations.conversations import Place
from pytest_crossdiff.engine.activations.harvest import Harvest, harvest
from pytest_crossdiff.engine.activations.pairs import pair
from pytest_crossdiff.engine.activations.shard_reading import Reading
from pytest_crossdiff.engine.corpus.documents import from_records
from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.engine.models.reading.predictions import head_at
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.store.cache import Store
from pytest_crossdiff.store.digest import digest
from support import tiny_models
from support.tokenizers import tokenizer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def say(role, content):
    return {"role": role, "content": content}


def piece_of(*turns, heldout, number):
    (document,) = from_records([{"messages": list(turns)}]).documents
    return Piece(number, 0, None, document.messages, heldout)


@pytest.fixture(autouse=True)
def _no_text_is_out_of_distribution(monkeypatch):
    monkeypatch.setattr(out_of_distribution, "MIN_JUDGED_TOKENS", 10**9)  # random weights know none


@pytest.fixture(scope="module")
def speaker(tmp_path_factory):
    """A tiny model that predicts tokens of a real tokenizer, with a chat template."""
    settings = {**tiny_models.GROUPED, "vocab_size": 800}
    model = tiny_models.build(tf.AutoModelForCausalLM, tf.LlamaConfig(**settings))
    folder = tmp_path_factory.mktemp("speaker")
    reader = copy.deepcopy(tokenizer("byte-level BPE"))
    reader.chat_template = CHATML
    return tiny_models.save(model, folder, reader)


CHATS = [
    [say("system", "Be brief."), say("user", f"Load of {n}?"), say("assistant", answer)]
    for n, answer in (("a", "It is 0.93."), ("b", "No idea."), ("c", "0.2"), ("d", "See above."))
]  # fmt: skip


@pytest.fixture(autouse=True)
def _no_text_is_out_of_distribution(monkeypatch):
    monkeypatch.setattr(out_of_distribution, "MIN_JUDGED_TOKENS", 10**9)  # random weights know none


@pytest.fixture(scope="module")
def harvested(speaker, tmp_path_factory):
    pieces = [piece_of(*c, heldout=i > 1, number=i) for i, c in enumerate(CHATS)]
    store = Store(tmp_path_factory.mktemp("cache"))

    @functools.cache
    def measure(layer, pieces=tuple(pieces)):
        entry = store.entry("harvest", digest([layer, *(piece.shared_text for piece in pieces)]))
        loaded = load(str(speaker), layer=layer, dtype="float32", device="cpu")
        with entry.lock():
            reading = Reading([loaded], pieces, "own", "it")
            harvest(reading, [entry], label="it", progress=SilentProgress())
        return Harvest(entry), loaded

    return pieces, measure


def test_where_an_answer_begins_the_prediction_is_that_of_its_first_token(speaker, harvested):
    """Against the model itself, given the turns before the answer as it is in service."""
    _, call = harvested
    found, loaded = call("output")
    tok = tf.AutoTokenizer.from_pretrained(speaker)
    model = tf.AutoModelForCausalLM.from_pretrained(speaker, dtype=torch.float32).eval()
    for i, turns in enumerate(CHATS):
        begins = np.asarray(found.place_n) == Place.ANSWER_START
        (row,) = np.flatnonzero((np.asarray(found.piece_n) == i) & begins)
        prompt = tok.apply_chat_template(turns[:-1], add_generation_prompt=True, tokenize=False)
        ids = torch.tensor([tok(prompt, add_special_tokens=False)["input_ids"]])
        with torch.no_grad():
            p_v = model(ids).logits[0, -1].softmax(-1)
        word_of_v, signs_wd = loaded.predictions.word_of_v, loaded.predictions.signs_wd
        p_w = p_v if word_of_v is None else torch.zeros(len(signs_wd)).index_add(0, word_of_v, p_v)
        expected = p_w.sqrt() @ signs_wd
        torch.testing.assert_close(found.vectors(np.array([row]))[0], expected, atol=1e-5, rtol=0)
        # the next row is the answer's first token, with how little the model expected it
        first = tok(turns[-1]["content"], add_special_tokens=False)["input_ids"][0]
        assert np.asarray(found.ids_n)[row + 1] == first
        assert found.nll_n[row + 1] == pytest.approx(float(-p_v[first].log()), abs=1e-4)
        assert np.isnan(found.nll_n[row])


def test_in_context_nothing_is_computed_of_what_is_predicted(speaker, harvested, monkeypatch):
    """Neither vectors nor surprises, nor a share in the words' probability."""
    _, call = harvested
    found, _ = call("output")
    context = np.flatnonzero(np.asarray(found.place_n) == Place.CONTEXT)
    assert len(context) > 20
    assert not found.vectors(context).any()
    assert np.isnan(found.nll_n[context]).all()
    assert found.vectors(np.flatnonzero(np.asarray(found.place_n) != Place.CONTEXT)).any(1).all()
    assert found.vocabulary.probability_w.sum() == pytest.approx(1, abs=1e-4)
    head = load(str(speaker), dtype="float32", device="cpu").model.lm_head
    states, wanted = (
        torch.randn(2, 3, head.in_features),
        torch.tensor([[1, 0, 1], [0, 0, 1]]).bool(),
    )
    rows = []
    monkeypatch.setattr(torch.nn.functional, "linear", spy(torch.nn.functional.linear, rows))
    whole = head(states)
    with head_at(type("M", (), {"get_output_embeddings": lambda _: head})(), wanted):
        part = head(states)
    assert rows == [6, 3]
    torch.testing.assert_close(part[wanted], whole[wanted])
    assert not part[~wanted].any()


def spy(linear, rows):
    def counting(x, *others):
        rows.append(x.flatten(0, -2).shape[0])
        return linear(x, *others)

    return counting


def test_in_a_block_it_is_the_state_from_which_the_answer_is_begun(speaker, harvested):
    found, _ = harvested[1](1)
    tok = tf.AutoTokenizer.from_pretrained(speaker)
    model = tf.AutoModelForCausalLM.from_pretrained(speaker, dtype=torch.float32).eval()
    begins = np.asarray(found.place_n) == Place.ANSWER_START
    (row,) = np.flatnonzero((np.asarray(found.piece_n) == 0) & begins)
    prompt = tok.apply_chat_template(CHATS[0][:-1], add_generation_prompt=True, tokenize=False)
    ids = torch.tensor([tok(prompt, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        expected = model(ids, output_hidden_states=True).hidden_states[2][0, -1]
    torch.testing.assert_close(found.vectors(np.array([row]))[0], expected, atol=1e-5, rtol=0)


def texts_of(pairs, pieces):
    h, rows_n = pairs.a.harvest, pairs.a.rows_n
    places = zip(h.piece_n[rows_n], h.starts_n[rows_n], h.ends_n[rows_n], strict=True)
    return [(int(i), pieces[i].shared_text[start:end]) for i, start, end in places]


def test_in_the_output_answers_alone_are_compared(harvested):
    pieces, call = harvested
    found, _ = call("output")
    pairs = pair(found, found, pieces, range(4))
    by_piece = ["".join(t for p, t in texts_of(pairs, pieces) if p == i) for i in range(4)]
    assert by_piece == ["\n" + turns[-1]["content"] for turns in CHATS]
    assert pairs.conversations.answer_starts == 4
    assert (
        pairs.conversations.context
        == int((np.asarray(found.place_n) == Place.CONTEXT).sum()) - pairs.conversations.repeated
    )


def test_in_a_block_all_turns_are_and_a_shared_system_message_once(harvested):
    pieces, call = harvested
    found, _ = call(1)
    pairs = pair(found, found, pieces, range(4))
    said_by = ["".join(t for p, t in texts_of(pairs, pieces) if p == i) for i in range(4)]
    assert said_by[0] == "Be brief." + "Load of a?" + "\n" + "It is 0.93."
    # "Load of " is what all of them begin with, too
    assert [text.partition("\n")[0] for text in said_by[1:]] == [" b?", " c?", " d?"]
    ends_n = np.asarray(found.ends_n)[np.asarray(found.piece_n) == 0]
    repeated_n = ends_n <= len("Be brief.\nLoad of ")
    assert pairs.conversations == ConversationPairs(4, 0, 3 * int(repeated_n.sum()))


def test_a_cluster_has_none_of_the_texts_of_another(harvested):
    """So a bootstrap over documents draws the system message with one of them."""
    pieces, call = harvested
    found, _ = call(1)
    pairs = pair(found, found, pieces, range(4))
    in_system_message = np.asarray(found.ends_n)[pairs.a.rows_n] <= len("Be brief.")
    assert {*pairs.group_n[in_system_message].tolist()} == {0}


def test_prompts_alone_are_compared_as_before(harvested):
    turns = [c[1:2] for c in CHATS]
    pieces = [piece_of(*c, heldout=i > 1, number=i) for i, c in enumerate(turns)]
    found, _ = harvested[1]("output", tuple(pieces[:3]))
    pairs = pair(found, found, pieces[:3], range(3))
    assert pairs.conversations.context == pairs.conversations.answer_starts == 0
    assert len(pairs.group_n) == len(found) - pairs.conversations.repeated


def test_running_text_has_no_conversations(harvested):
    pieces = [Piece(i, 0, t, (), heldout=i > 1) for i, t in enumerate(["The load", "The log"] * 2)]
    pieces = [*pieces[:2], Piece(2, 0, "The pod is gone", (), heldout=True)]
    found, _ = harvested[1]("output", tuple(pieces))
    pairs = pair(found, found, pieces, range(3))
    assert pairs.conversations is None
    assert len(pairs.group_n) == len(found)
