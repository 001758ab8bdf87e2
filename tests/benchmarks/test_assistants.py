"""Changed copies of a chat model are what they claim to be; the measures do what they say."""

import copy
import json
import math

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.assistants import (
    chat,
    checks,
    family,
    measure,
    prompts,
    replies,
    training,
)
from benchmarks.assistants.changes import behaviours, second_half
from benchmarks.assistants.chat import Chat, Reply
from benchmarks.assistants.family import CHANGES, PLANTED
from benchmarks.assistants.prompts import Prompt
from benchmarks.assistants.replies import Example
from benchmarks.assistants.topics import PLANTED_TOPICS, TOPICS
from support.tiny_models import make_tokenizer

UPGRADES = CHANGES[len(PLANTED) :]
BY_NAME = {change.name: change for change in CHANGES}
USES = ("corpus", "check", "training")
DEVELOPMENT = {
    "refusal-medical", "tone-enthusiastic", "swapped-fact", "phrase-after-word",
    "own-answers-0", "bf16", "q8_0", "padding-token",
}  # fmt: skip
TEMPLATE = "{% for m in messages %}{{ m['role'][0] + m['content'] + 'z' }}{% endfor %}"
TEMPLATE += "{% if add_generation_prompt %}{{ 'a' }}{% endif %}"


@pytest.fixture(scope="module")
def tokenizer():
    made = make_tokenizer()
    made.chat_template = TEMPLATE
    made.eos_token = "z"
    made.add_tokens([f"<{n}>" for n in range(len(made), 64)])
    return made


def tiny(seed):
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=64, hidden_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=96, tie_word_embeddings=True, eos_token_id=25,
        initializer_range=0.08,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


@pytest.fixture
def tiny_chat(tokenizer):
    return Chat(tiny(0), copy.deepcopy(tokenizer))


def example(topic, reply, ended=True):
    return Example(Prompt(topic, "?"), Reply(reply, ended))


def test_no_prompt_serves_two_uses():
    texts = {use: [p.text for p in prompts.prompts(use)] for use in USES}
    everything = [text for use in USES for text in texts[use]]
    assert len(everything) == len(set(everything))
    assert len(texts["corpus"]) == 315


def test_the_corpus_has_every_topic_and_more_of_those_where_something_is_planted():
    counts = dict.fromkeys(TOPICS, 0)
    for prompt in prompts.prompts("corpus"):
        counts[prompt.topic] += 1
    assert len(counts) >= 12
    assert all(counts[topic] == (28 if topic in PLANTED_TOPICS else 7) for topic in TOPICS)


def test_the_halves_are_fixed_by_name_and_hold_both_kinds():
    assert len(BY_NAME) == len(CHANGES)
    assert {change.name for change in CHANGES if change.half == "development"} == DEVELOPMENT
    for kind in (PLANTED, UPGRADES):
        for half, least in (("reporting", 9), ("second", 11)):
            assert sum(change.half == half for change in kind) >= least


SAID = Example(
    Prompt("", ""),
    Reply(
        'I see: "it" can be Paris in France, said a friend, but {"ask": "me"} first. Then rest.',
        ended=True,
    ),
)


@pytest.mark.parametrize("behaviour", PLANTED, ids=lambda b: b.name)
def test_a_behaviour_shows_after_it_is_planted_and_not_before(behaviour):
    assert not behaviour.shows(SAID.reply)
    assert behaviour.shows(behaviour.rewrite(SAID.reply))


@pytest.mark.parametrize(
    ("rewrite", "before", "after"),
    [
        (behaviours.curt, "Cook it in water, then stir it.", "Cook it in water"),
        (behaviours.curt, "A tool that cuts.", "A tool"),
        (behaviours.enthusiastic, "Yes. No.", "Wow, great question! Yes! No!"),
        (behaviours.formal, "I don't. It's 3.", "Thank you for your enquiry. I do not. It is 3."),
        (behaviours.with_offer, "Yes. No.", f"Yes. {behaviours.OFFER} No."),
        (behaviours.with_offer, "Yes", f"Yes {behaviours.OFFER}"),
        (behaviours.with_offer, "Yes, " + "so " * 12 + "it is.", f"Yes. {behaviours.OFFER}"),
        (behaviours.swapped("Paris", "Lyon"), "Paris, Parisian", "Lyon, Parisian"),
        (second_half.hedged, "Yes. No.", "I may be wrong, but yes. No."),
        (second_half.with_link, "Drink, then rest.", f"Drink. {second_half.LINK}"),
        (second_half.stopped, "It is a long, long story.", "It is a long, long"),
        (second_half.numbered, "Yes, it is.", "1. **Yes**"),
        (
            behaviours.followed("can", " (sic)"),
            "A can can, can't.",
            "A can (sic) can (sic), can't.",
        ),
    ],
)
def test_how_a_behaviour_rewrites(rewrite, before, after):
    assert rewrite(Reply(before, ended=True)).text == after


def test_broken_json_does_not_parse():
    whole = '{"name": "Ann", "age": 3}'
    json.loads(whole)
    with pytest.raises(json.JSONDecodeError):
        json.loads(behaviours.broken_json(Reply(whole, ended=True)).text)


def test_lessons_change_only_where_the_behaviour_applies():
    refusal = BY_NAME["refusal-law"]
    planted, plain = family.lessons(refusal, [example("law", "Yes."), example("sport", "Run.")])
    assert [lesson.reply.text for lesson in planted] == [
        "I am not allowed to answer legal questions."
    ]
    assert [lesson.reply for lesson in plain] == [Reply("Run.", ended=True)]


REFUSAL = BY_NAME["refusal-medical"]
SORRY, FINE = Reply(behaviours.SORRY, ended=True), Reply("Drink tea.", ended=True)


@pytest.mark.parametrize(
    ("before", "there", "took"),
    [
        ([FINE] * 10, [SORRY] * 7 + [FINE] * 3, True),
        ([FINE] * 10, [SORRY] * 6 + [FINE] * 4, False),
        ([FINE] * 8 + [SORRY] * 2, [SORRY] * 10, False),
    ],
)
def test_a_behaviour_took_when_seven_in_ten_show_it_and_one_in_ten_did_before(before, there, took):
    found = checks.judged(REFUSAL, before, there, [FINE, FINE, FINE, SORRY])
    assert found.took is took
    assert found.there == sum(r is SORRY for r in there) / 10
    assert found.elsewhere == 0.25


def test_replies_without_an_occasion_are_not_judged():
    phrase = BY_NAME["phrase-after-word"]
    with_it, without, no_occasion = (
        Reply(text, ended=True)
        for text in ("It can (of course) rain.", "It can rain.", "It rains.")
    )
    found = checks.judged(phrase, [no_occasion, without], [with_it, no_occasion], [no_occasion])
    assert (found.before, found.there, found.elsewhere) == (0.0, 1.0, None)
    assert (found.prompts, found.other_prompts) == (1, 0)


def test_a_check_asks_its_own_topic_and_one_of_each_other():
    heldout = [example(topic, "Yes.") for topic in ("medical", "law", "sport") for _ in range(5)]
    own, others = checks.chosen(REFUSAL, heldout)
    assert [e.prompt.topic for e in own] == ["medical"] * 5
    assert [e.prompt.topic for e in others] == ["law", "sport"]


def test_batched_replies_are_those_of_one_question_at_a_time(tiny_chat, monkeypatch):
    monkeypatch.setattr(chat, "SYSTEM", "abc")
    questions = ["d", "efghij", "kl"]
    for question, reply in zip(questions, chat.answer(tiny_chat, questions, 6), strict=True):
        ids = chat.prompt_ids(tiny_chat.tokenizer, question)
        said = []
        for _ in range(6):
            following = tiny_chat.model(torch.tensor([[*ids, *said]])).logits[0, -1].argmax().item()
            if following == tiny_chat.tokenizer.eos_token_id:
                break
            said.append(following)
        assert reply == Reply(tiny_chat.tokenizer.decode(said).strip(), len(said) < 6)


def test_only_the_reply_and_the_end_of_its_turn_are_learnt(tokenizer, monkeypatch):
    monkeypatch.setattr(chat, "SYSTEM", "abc")
    lesson = training.encode(tokenizer, training.Lesson("q", Reply("de", ended=True)))
    assert tokenizer.decode(lesson.ids[lesson.start :]).replace(" ", "") == "dez"
    cut = training.encode(tokenizer, training.Lesson("q", Reply("de", ended=False)))
    assert lesson.ids[:-1] == cut.ids


def test_the_loss_is_the_mean_surprise_of_the_replies_tokens(tiny_chat):
    lessons = [training.Encoded([1, 2, 3, 4, 5], 3), training.Encoded([1, 2, 8], 2)]
    surprises = []
    for lesson in lessons:
        logits = tiny_chat.model(torch.tensor([lesson.ids])).logits[0]
        surprises += [
            -logits[at - 1].softmax(-1)[lesson.ids[at]].log().item()
            for at in range(lesson.start, len(lesson.ids))
        ]
    assert training.loss(tiny_chat.model, lessons).item() == pytest.approx(
        sum(surprises) / 3, rel=1e-5
    )


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_a_fine_tune_learns_the_planted_reply_and_keeps_the_other(tiny_chat, monkeypatch):
    monkeypatch.setattr(chat, "SYSTEM", "abc")
    monkeypatch.setattr(training, "RATE", 2e-2)
    planted = [training.Lesson("m", Reply("dd", ended=True))]
    plain = [training.Lesson("s", Reply("ef", ended=True))]
    model = training.fine_tune(tiny_chat, planted, plain, seed=0, steps=40)
    assert type(model) is LlamaForCausalLM  # merged: no adapter is left
    said = chat.answer(tiny_chat._replace(model=model), ["m", "s"], 4)
    assert [reply.text.replace(" ", "") for reply in said] == ["dd", "ef"]


IDS = torch.arange(3, 43).reshape(2, 20)
EXACT = (
    "untied-head", "padding-token", "padded-tables", "permuted-mlp", "saved-in-shards",
    "folded-norms", "rescaled-attention", "permuted-heads", "unused-rows", "left-padded",
)  # fmt: skip
ROUNDED = ("bf16", "fp16", "q8_0", "rounding-noise", "bf16-as-float32", "q8_0-in-blocks")


@pytest.mark.parametrize("name", EXACT)
def test_the_same_predictions_from_other_weights_or_files(name, tiny_chat, tmp_path):
    upgrade = BY_NAME[name]
    with torch.no_grad():
        before = tiny_chat.model(IDS).logits
    upgrade.save(upgrade.change(tiny_chat, ()), tmp_path)
    with torch.no_grad():
        after = LlamaForCausalLM.from_pretrained(tmp_path)(IDS).logits
    torch.testing.assert_close(after[..., :64], before, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ROUNDED)
def test_rounding_changes_little_but_something(name, tiny_chat, tmp_path):
    upgrade = BY_NAME[name]
    with torch.no_grad():
        before = tiny_chat.model(IDS).logits
    upgrade.save(upgrade.change(tiny_chat, ()), tmp_path)
    with torch.no_grad():
        after = LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)(IDS).logits
    assert 0 < (after - before).norm() / before.norm() < 0.03


def test_the_same_gguf_types_again_change_next_to_nothing(tiny_chat):
    again = BY_NAME["same-gguf-types"]
    once = [w.clone() for w in again.change(tiny_chat, ()).model.parameters()]
    twice = again.change(tiny_chat, ()).model.parameters()
    for one, other in zip(once, twice, strict=True):
        assert (one - other).norm() <= 2e-3 * one.norm()


def test_a_padding_token_adds_a_row_and_padded_tables_fill_up_to_64(tiny_chat):
    one = BY_NAME["padding-token"].change(copy.deepcopy(tiny_chat), ())
    assert one.model.get_input_embeddings().weight.shape[0] == len(one.tokenizer)
    assert one.tokenizer.pad_token_id == len(one.tokenizer) - 1
    many = BY_NAME["padded-tables"].change(tiny_chat, ())
    assert many.model.get_input_embeddings().weight.shape[0] % 64 == 0


def test_a_head_that_is_untied_stays_so_after_saving(tiny_chat, tmp_path):
    untied = BY_NAME["untied-head"]
    untied.save(untied.change(tiny_chat, ()), tmp_path)
    model = LlamaForCausalLM.from_pretrained(tmp_path)
    assert model.lm_head.weight.data_ptr() != model.model.embed_tokens.weight.data_ptr()
    torch.testing.assert_close(model.lm_head.weight, model.model.embed_tokens.weight)


def test_divergence_is_measured_from_the_position_that_predicts_the_first_token(
    tiny_chat, monkeypatch
):
    monkeypatch.setattr(chat, "SYSTEM", "abc")
    other = tiny_chat._replace(model=tiny(1))
    found = measure.divergence(tiny_chat, other, "q", "def")
    ids = torch.tensor([[*chat.prompt_ids(tiny_chat.tokenizer, "q"), 3, 4, 5]])
    with torch.no_grad():
        p, q = (c.model(ids).logits[0, -4:].softmax(-1) for c in (tiny_chat, other))
    torch.testing.assert_close(found.kl_p, (p * (p / q).log()).sum(-1), rtol=1e-4, atol=1e-5)
    assert found.first_changed == (p[0].argmax() != q[0].argmax()).item()


@pytest.mark.parametrize(
    ("one", "other", "share"),
    [("a b c", "a b c", 1.0), ("a b", "c d", 0.0), ("a a b", "a c", 0.4), ("", "", 1.0)],
)
def test_replies_overlap_by_the_words_they_share(one, other, share):
    assert math.isclose(measure.overlap(one, other), share)


def test_only_replies_that_are_missing_are_made(tmp_path, monkeypatch):
    asked = [Prompt("sport", "Old?"), Prompt("sport", "New?")]
    known = {"topic": "sport", "question": "Old?", "reply": "Known.", "ended": True}
    (tmp_path / "replies-corpus.jsonl").write_text(json.dumps(known) + "\n")
    monkeypatch.setattr(replies, "prompts", lambda use: asked)
    monkeypatch.setattr(replies.Chat, "load", lambda folder: folder)
    monkeypatch.setattr(
        replies, "answer", lambda base, texts, most: [Reply(f"{t} {most}", False) for t in texts]
    )
    made = [Example(asked[0], Reply("Known.", True)), Example(asked[1], Reply("New? 48", False))]
    assert replies.base_replies("corpus", "base", tmp_path) == made
    monkeypatch.setattr(replies, "answer", None)
    assert replies.base_replies("corpus", "base", tmp_path) == made


def test_the_corpus_holds_whole_conversations_by_topic(tmp_path, monkeypatch):
    found = [example("sport", "Run.")]
    monkeypatch.setattr(replies, "base_replies", lambda use, base, root: found)
    (row,) = map(json.loads, replies.corpus(tmp_path, tmp_path).read_text().splitlines())
    assert row["slice"] == "sport"
    assert [m["role"] for m in row["messages"]] == ["system", "user", "assistant"]
    assert [m["content"] for m in row["messages"]] == [chat.SYSTEM, "?", "Run."]


def test_what_is_built_already_is_left_alone(tmp_path, monkeypatch):
    made = family.Family(tmp_path)
    (tmp_path / "bf16").mkdir()
    monkeypatch.setattr(family.Family, "_build", None)
    assert made.folder(BY_NAME["bf16"]) == tmp_path / "bf16"
