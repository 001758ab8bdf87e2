"""How many tokens a chat template adds, against the same texts tokenised by themselves."""

import copy

import pytest

from pytest_crossdiff.engine.activations.template_tokens import (
    SAMPLED_CONVERSATIONS,
    TemplateTokens,
    sampled_template_tokens,
    template_notes,
)
from pytest_crossdiff.engine.corpus.documents import from_records
from pytest_crossdiff.engine.corpus.sampling import Piece
from support.tokenizers import tokenizer

CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
OWN_SYSTEM = "You are the assistant of a small company and answer its questions."
WITH_OWN_SYSTEM = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\n"
    + OWN_SYSTEM
    + "<|im_end|>\n{% endif %}"
    + CHATML
)
QUESTION, ANSWER = "Where is the log of the gateway?", "In the folder of the operations team."


def reader(template):
    made = copy.deepcopy(tokenizer("byte-level BPE"))
    made.chat_template = template
    return made


def pieces(*turns, times=1):
    messages = [{"role": role, "content": content} for role, content in turns]
    documents = from_records(
        [{"messages": messages, "document": str(i)} for i in range(times)] if messages else ["x"]
    ).documents
    return [Piece(0, 0, document.text, document.messages, heldout=False) for document in documents]


def length(text):
    return len(tokenizer("byte-level BPE")(text, add_special_tokens=False)["input_ids"])


def counted(template, *turns):
    return sampled_template_tokens(pieces(*turns), reader(template), 512)


TURNS = ("user", QUESTION), ("assistant", ANSWER)


def test_everything_that_is_in_no_message_is_the_templates():
    found = counted(CHATML, *TURNS)
    rendered = reader(CHATML).apply_chat_template(
        [{"role": role, "content": content} for role, content in TURNS], tokenize=False
    )
    assert found.tokens == length(rendered)
    assert found.template == length(rendered) - length(QUESTION) - length(ANSWER)
    assert found.preface == length("<|im_start|>user\n")
    assert found.system == 0


def test_a_system_message_of_the_templates_own_stands_before_the_first_message():
    plain, with_own = counted(CHATML, *TURNS), counted(WITH_OWN_SYSTEM, *TURNS)
    added = length(f"<|im_start|>system\n{OWN_SYSTEM}<|im_end|>\n")
    assert with_own.template - plain.template == with_own.preface - plain.preface == added


def test_system_messages_of_the_records_are_counted_by_themselves():
    turns = ("system", OWN_SYSTEM), *TURNS
    found = counted(WITH_OWN_SYSTEM, *turns)
    assert (found.system, found.preface) == (length(OWN_SYSTEM), 0)
    assert found.tokens == found.template + sum(length(content) for _, content in turns)


def test_at_most_so_many_conversations_are_tokenised_and_running_text_has_no_template():
    many = pieces(*TURNS, times=1) * 500
    assert sampled_template_tokens(many, reader(CHATML), 512).conversations == SAMPLED_CONVERSATIONS
    assert sampled_template_tokens(pieces(), reader(CHATML), 512) is None


LONG = (
    "adds 40 tokens to a conversation on average (50 % of what is read; 25 of them before the "
    "first message)"
)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            TemplateTokens(10, 800, 400, 0, 0),
            "adds 40 tokens to a conversation on average (50 % of what is read)",
        ),
        (
            TemplateTokens(10, 800, 400, 250, 80),
            f"{LONG}; the records' system messages are another 10 %",
        ),
    ],
)
def test_in_words(found, words):
    assert found.words == words
    assert template_notes({"baseline": found, "candidate": found}) == [f"the chat template {words}"]
    other = found._replace(template=0)
    assert template_notes({"baseline": other, "candidate": found}) == [
        f"the candidate's chat template {words}"
    ]
