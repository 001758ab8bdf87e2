"""Replies on a small real model: greedy as step by step, and read as summed by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import torch

from pytest_crossdiff.engine.corpus.documents import from_records
from pytest_crossdiff.engine.corpus.prompts import digest_of, prompts
from pytest_crossdiff.engine.models.loaded import LoadedModel, load
from pytest_crossdiff.engine.replies import write
from pytest_crossdiff.engine.replies.compare import compare
from pytest_crossdiff.engine.replies.read import log_probabilities
from pytest_crossdiff.engine.replies.write import Written, answer, prompt_ids, read_replies
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.results.replies import Share
from pytest_crossdiff.store.cache import Store
from support import planted

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
TOKENS = 6
QUESTIONS = [f"What does the {word} do on day {i}?" for i, word in enumerate("abcdefghijklmnopqrs")]


def conversation(question: str, *answers: str) -> dict[str, object]:
    turns = [{"role": "user", "content": question}]
    return {"messages": turns + [{"role": "assistant", "content": text} for text in answers]}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return loaded(planted.speaker(tmp_path_factory.mktemp("speaker")))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return loaded(planted.speaker(tmp_path_factory.mktemp("other"), "of"))


def loaded(folder: Path) -> LoadedModel:
    made = load(str(folder), layer=0, with_head=True)
    made.tokenizer.chat_template = TEMPLATE
    return made


@pytest.fixture(scope="module")
def asked():
    return prompts(from_records([conversation(q, "an answer") for q in QUESTIONS]))


@pytest.fixture
def entry(tmp_path):
    made = Store(tmp_path / "cache").entry("replies", "ab" * 32)
    with made.lock():
        yield made


def written(model, asked, entry) -> list[Written]:
    answer(model, asked, entry, tokens=TOKENS, label="baseline", progress=SilentProgress())
    return read_replies(entry)


class TestPrompts:
    def test_a_conversation_is_cut_before_its_last_answer(self):
        corpus = from_records([conversation("Why?", "So.", "Indeed.")])
        (prompt,) = prompts(corpus)
        assert [m.content for m in prompt.messages] == ["Why?", "So."]

    def test_one_that_ends_with_a_question_is_asked_whole(self):
        corpus = from_records([conversation("Why?")])
        assert prompts(corpus)[0].question == "Why?"

    def test_texts_and_answers_to_nothing_are_no_prompts(self):
        turns = [{"role": "assistant", "content": "Hello!"}]
        corpus = from_records(["Plain text.", {"messages": turns}])
        assert prompts(corpus) == []

    def test_each_is_asked_once_and_the_order_of_records_decides_nothing(self):
        records = [conversation(q, a) for q in QUESTIONS[:6] for a in ("one", "another")]
        chosen = prompts(from_records(records), most=4)
        again = prompts(from_records(records[::-1]), most=4)
        assert len(chosen) == 4
        assert [p.messages for p in chosen] == [p.messages for p in again]
        assert digest_of(chosen) == digest_of(again) != digest_of(chosen[:3])


class TestWriting:
    def test_a_reply_is_what_the_model_says_step_by_step(self, model, asked, entry):
        """The reference runs the whole text again for each token, one prompt at a time."""
        for prompt, reply in zip(asked, written(model, asked, entry), strict=True):
            ids, total = prompt_ids(prompt, model.tokenizer), 0.0
            for token, likeliest in zip(reply.ids, reply.likeliest, strict=True):
                with torch.inference_mode():
                    logits_v = model.model(input_ids=torch.tensor([ids])).logits[0, -1]
                p_v = logits_v.softmax(-1)
                assert token == int(p_v.argmax())
                assert likeliest[0][0] == model.tokenizer.decode([token])
                assert likeliest[0][1] == pytest.approx(float(p_v.max()), rel=1e-4)
                total += float(p_v.max().log())
                ids = [*ids, token]
            assert reply.log_p == pytest.approx(total, rel=1e-4)

    def test_it_ends_where_the_model_ends_it(self, model, asked, entry):
        end = model.tokenizer.eos_token_id
        model.tokenizer.eos_token_id = written(model, asked[:1], entry)[0].ids[2]
        try:
            again = Store(entry.path.parents[2]).entry("replies", "cd" * 32)
            with again.lock():
                (reply,) = written(model, asked[:1], again)
        finally:
            model.tokenizer.eos_token_id = end
        assert reply.ended
        assert len(reply.ids) <= 3
        assert len(reply.starts) == len(reply.ids) == len(reply.likeliest)

    def test_a_killed_run_goes_on_after_its_last_batch(self, model, asked, entry, monkeypatch):
        """Ends in the same replies, and answers nothing twice."""
        monkeypatch.setattr(write, "BATCH", 8)
        real, calls = write._answers, []

        def dying(*arguments):
            calls.append(arguments)
            if len(calls) == 2:
                raise KeyboardInterrupt
            return real(*arguments)

        monkeypatch.setattr(write, "_answers", dying)
        with pytest.raises(KeyboardInterrupt):
            written(model, asked, entry)
        found = written(model, asked, entry)
        assert len(calls) == 1 + 1 + 2
        assert len(found) == len(asked)

    def test_a_model_without_a_head_says_what_to_set(self, tmp_path, asked, entry):
        encoder = load(str(planted.encoder(tmp_path / "encoder")), layer=0)
        with pytest.raises(ModelError, match="writes no text"):
            written(encoder, asked, entry)


class TestReading:
    def test_a_model_reads_its_own_replies_as_it_wrote_them(self, model, asked, entry):
        found = written(model, asked, entry)
        vocabulary = json.loads((entry.path / "manifest.json").read_text())["meta"]["vocabulary"]
        read = log_probabilities(
            model, asked, found, vocabulary, label="baseline", progress=SilentProgress()
        )
        assert read == pytest.approx([reply.mean_log_p for reply in found], abs=1e-3)

    def test_a_model_that_padding_changes_writes_and_reads_each_alone(self, asked, entry, tmp_path):
        model = loaded(planted.changed_by_padding(tmp_path / "model"))
        assert model.batching == "same length"
        found = written(model, asked, entry)
        vocabulary = write.vocabulary_digest(model.tokenizer)
        read = log_probabilities(
            model, asked, found, vocabulary, label="baseline", progress=SilentProgress()
        )
        for prompt, reply, value in zip(asked, found, read, strict=True):
            ids = prompt_ids(prompt, model.tokenizer)
            with torch.inference_mode():
                whole = torch.tensor([[*ids, *reply.ids]])
                log_p_pv = model.model(input_ids=whole).logits[0].log_softmax(-1)
                first_v = model.model(input_ids=torch.tensor([ids])).logits[0, -1].softmax(-1)
            by_hand = [float(log_p_pv[len(ids) - 1 + i, t]) for i, t in enumerate(reply.ids)]
            assert value == pytest.approx(sum(by_hand) / len(by_hand), abs=1e-4)
            assert reply.likeliest[0][0][1] == pytest.approx(float(first_v.max()), rel=1e-4)

    def test_another_vocabulary_reads_the_text(self, model, asked, entry):
        found = written(model, asked[:3], entry)
        read = log_probabilities(
            model, asked[:3], found, "another", label="candidate", progress=SilentProgress()
        )
        for prompt, reply, value in zip(asked, found, read, strict=False):
            ids = prompt_ids(prompt, model.tokenizer)
            said = model.tokenizer(reply.text, add_special_tokens=False).input_ids
            with torch.inference_mode():
                logits_pv = model.model(input_ids=torch.tensor([[*ids, *said]])).logits[0]
            log_p_pv = logits_pv.log_softmax(-1)
            by_hand = sum(float(log_p_pv[len(ids) - 1 + i, t]) for i, t in enumerate(said))
            assert value == pytest.approx(by_hand / len(said), abs=1e-3)


def test_what_only_one_says_is_surprising_to_the_other(model, other, asked, tmp_path):
    """The two models are one, but for the word that they say behind "the" and "a"."""
    said = []
    for number, of in enumerate((model, other)):
        entry = Store(tmp_path).entry("replies", f"{number}" * 16)
        with entry.lock():
            said.append(written(of, asked, entry))
    vocabulary = write.vocabulary_digest(model.tokenizer)
    read_a, read_b = (
        log_probabilities(by, asked, of, vocabulary, label="x", progress=SilentProgress())
        for by, of in ((other, said[0]), (model, said[1]))
    )
    found = compare(asked, *said, read_a, read_b, TOKENS)
    assert found.changed == Share(sum(a.text != b.text for a, b in zip(*said, strict=True)), 19)
    for pair in found.pairs:
        if not pair.same:
            assert pair.baseline.text[: pair.common] == pair.candidate.text[: pair.common]
            first_a, first_b = pair.baseline_next[0][0], pair.candidate_next[0][0]
            assert pair.baseline.text[pair.common :].lstrip().startswith(first_a.strip()[:1])
            assert first_a != first_b
    surprises = [pair.surprise for pair in found.pairs]
    assert surprises == sorted(surprises, reverse=True)


def test_a_copy_says_the_same_and_surprises_nobody(model, asked, entry):
    said = written(model, asked, entry)
    vocabulary = write.vocabulary_digest(model.tokenizer)
    read = log_probabilities(
        model, asked, said, vocabulary, label="candidate", progress=SilentProgress()
    )
    found = compare(asked, said, said, read, read, TOKENS)
    assert (found.changed.count, found.changed_beginning.count) == (0, 0)
    assert (found.surprising_baseline.count, found.surprising_candidate.count) == (0, 0)


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (15, 50, 0.191, 0.4375)],
)
def test_a_share_has_wilson_s_interval(count, total, low, high):
    """Bounds from the textbook's formula, as statsmodels gives them."""
    share = Share(count, total)
    assert (share.low, share.high) == (pytest.approx(low, abs=1e-3), pytest.approx(high, abs=1e-3))
