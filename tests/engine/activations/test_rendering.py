"""Where a model's tokens stand in the text, with special tokens and chat templates around it."""

import copy
import functools
import itertools

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pytest_crossdiff.engine.activations.alignment import align_tokens, coverage
from pytest_crossdiff.engine.activations.conversations import Place, render
from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.corpus.messages import Message
from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.errors import CorpusError, ModelError
from support.tokenizers import KINDS, tokenizer

relaxed = settings(deadline=None, max_examples=60)

CHATML = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou help the user.<|im_end|>\n"
    "{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content | trim }}<end_of_turn>\n{% endfor %}"
)
LLAMA = (
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{{ m.content.strip() }}<|eot_id|>{% endfor %}"
)
INST = (
    "{% for m in messages %}{% if m.role == 'system' %}<<SYS>>{{ m.content }}<</SYS>>\n"
    "{% elif m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content.lstrip('\n') }}</s>{% endif %}{% endfor %}"
)
BARE = "{% for m in messages %}{{ m.content }}{% endfor %}"
TEMPLATES = {"ChatML": CHATML, "Gemma": GEMMA, "Llama": LLAMA, "INST": INST, "bare": BARE}

WORDS = [
    "user",
    "assistant",
    "Hi",
    "e\u0301",
    "中文",
    "🙂",
    "👩🏽‍🚀",
    " ",
    "\n",
    "नमस्ते",
    "<|im_end|>",
]
contents = st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map("".join), max_size=4)


@functools.cache
def chatty(kind, template):
    """A tokenizer of `kind` with a chat template of its own."""
    made = copy.deepcopy(tokenizer(kind))
    made.chat_template = TEMPLATES.get(template, template)
    return made


def chat(*texts, roles=("user", "assistant")):
    return tuple(Message(role, text) for role, text in zip(itertools.cycle(roles), texts))


def read(piece, reader, chat_template="own", limit=10_000):
    if isinstance(piece, str):
        piece = Piece(0, 0, piece, (), heldout=False)
    elif isinstance(piece[0], Message):
        piece = Piece(0, 0, None, piece, heldout=False)
    return tokenize(piece, reader, chat_template=chat_template, limit=limit)


def content_of(encoded, text):
    """The characters of each content token, without the positions that only begin an answer."""
    said = encoded.content & (encoded.place != Place.ANSWER_START)
    places = zip(encoded.starts, encoded.ends, said, strict=True)
    return [text[start:end] for start, end, content in places if content]


def shared_text(messages):
    return "\n".join(message.content for message in messages)


# Texts


@pytest.mark.parametrize(
    ("kind", "special"),
    [("byte-level BPE", 0), ("SentencePiece BPE", 1), ("Unigram", 1), ("WordPiece", 2)],
)
def test_a_text_is_read_as_the_tokenizer_reads_it_by_default(kind, special):
    text = "The class statement."
    encoded = read(text, tokenizer(kind))
    assert encoded.input_ids.tolist() == tokenizer(kind)(text)["input_ids"]
    assert encoded.special == special == (~encoded.content).sum()
    assert encoded.truncated_characters == 0
    assert encoded.tokens.ends.max() == len(text)
    for array in (encoded.input_ids, encoded.starts, encoded.ends):
        assert array.dtype == np.int32
        assert len(array) == len(encoded.content)


def test_a_special_token_written_out_in_a_text_is_not_content():
    text = "one<|endoftext|>two"
    encoded = read(text, tokenizer("byte-level BPE"))
    assert "".join(content_of(encoded, text)) == "onetwo"
    assert encoded.special == 1


def test_an_unknown_word_is_content():
    assert content_of(read("a 中 b", tokenizer("WordPiece")), "a 中 b") == ["a", "中", "b"]


def test_marks_that_no_token_covers_belong_to_the_token_before():
    text = "cafe\u0301 नमस्ते o\u0308k"
    found = content_of(read(text, tokenizer("WordPiece")), text)
    assert "".join(found) == text.replace(" ", "")
    assert found[-2:] == ["o\u0308", "k"] or found[-1] == "o\u0308k"


@pytest.mark.parametrize("kind", KINDS)
@relaxed
@given(words=st.lists(st.sampled_from(WORDS[:-1]), max_size=20), limit=st.integers(4, 40))
def test_what_exceeds_the_limit_is_cut_after_a_whole_character_and_counted(kind, words, limit):
    text = " ".join(words)
    full, cut = read(text, tokenizer(kind)), read(text, tokenizer(kind), limit=limit)
    assert len(cut.input_ids) <= limit
    if len(full.input_ids) <= limit:
        assert cut.truncated_characters == 0
    kept = int(cut.content.sum())
    places = full.ends[full.content]
    assert (cut.ends[cut.content] == places[:kept]).all()
    assert not (full.starts[full.content][kept:] < cut.ends.max(initial=0)).any()
    assert cut.truncated_characters == places.max(initial=0) - cut.ends.max(initial=0)
    if kind == "WordPiece":
        assert cut.input_ids[[0, -1]].tolist() == full.input_ids[[0, -1]].tolist()


# Conversations


@pytest.mark.parametrize("template", TEMPLATES)
@relaxed
@given(texts=contents)
def test_contents_are_found_where_the_template_puts_them(template, texts):
    assume("".join(texts).strip())
    messages = chat(*texts)
    rendered, spans, *_ = render(messages, chatty("byte-level BPE", template))
    shared = shared_text(messages)
    for at, place, length in spans:
        assert rendered[at : at + length] == shared[place : place + length]
    found = {i for _, place, length in spans for i in range(place, place + length)}
    assert all(i in found or character.isspace() for i, character in enumerate(shared))


@pytest.mark.parametrize("template", ["ChatML", "Gemma", "Llama"])
@pytest.mark.parametrize("kind", ["byte-level BPE", "SentencePiece BPE"])
@relaxed
@given(texts=contents)
def test_content_tokens_are_those_whose_every_character_is_content(kind, template, texts):
    assume("".join(texts).strip())
    reader, messages = chatty(kind, template), chat(*texts)
    rendered, spans, *_ = render(messages, reader)
    place_of = {at + i: place + i for at, place, length in spans for i in range(length)}
    plain = reader(rendered, add_special_tokens=False, return_offsets_mapping=True)
    encoded = read(messages, reader)
    assert encoded.input_ids.tolist() == plain["input_ids"]
    for token, (start, end) in enumerate(plain["offset_mapping"]):
        if encoded.place[token] == Place.ANSWER_START:
            continue
        places = [place_of.get(i) for i in range(start, end)]
        special = plain["input_ids"][token] in reader.all_special_ids
        assert encoded.content[token] == (None not in places and bool(places) and not special)
        if encoded.content[token]:
            assert (encoded.starts[token], encoded.ends[token]) == (places[0], places[-1] + 1)


@pytest.mark.parametrize("template", ["ChatML", "Gemma"])
def test_every_character_of_a_conversation_is_read(template):
    messages = chat("user: what is a class?", "A class\n\nis a user.", "", "So.")
    found = content_of(read(messages, chatty("byte-level BPE", template)), shared_text(messages))
    assert "".join(found) == "".join(message.content for message in messages)


def test_words_of_the_template_are_not_taken_for_content():
    messages = chat("user", "assistant")
    encoded = read(messages, chatty("byte-level BPE", "ChatML"))
    rendered, spans, *_ = render(messages, chatty("byte-level BPE", "ChatML"))
    assert rendered[spans[0].rendered - 5 : spans[0].rendered] == "user\n"
    assert "".join(content_of(encoded, shared_text(messages))) == "userassistant"


def test_tokens_that_lie_partly_in_the_template_are_not_content():
    encoded = read(chat("the class"), chatty("byte-level BPE", "INST"))
    assert (
        "".join(content_of(encoded, "the class")) == " class"
    )  # not " the", whose space is INST's


@relaxed
@given(texts=contents)
def test_templates_that_trim_and_those_that_do_not_agree_on_places(texts):
    assume("".join(texts).strip())
    messages = chat(*texts)
    a = read(messages, chatty("byte-level BPE", "ChatML")).tokens
    b = read(messages, chatty("SentencePiece BPE", "Llama")).tokens
    pairs = align_tokens(a, b)
    assert (a.ends[pairs[:, 0]] == b.ends[pairs[:, 1]]).all()
    ends = itertools.accumulate(len(m.content) + 1 for m in messages)
    last = {
        end - 1 - len(m.content) + len(m.content.rstrip())
        for end, m in zip(ends, messages, strict=True)
        if m.content.strip() and not m.content.rstrip().endswith("<|im_end|>")
    }
    assert last <= set(a.ends[pairs[:, 0]].tolist())


def test_one_tokenizer_with_two_templates_aligns_almost_everywhere():
    messages = chat("What is a class statement?", "It makes a class object.")
    a = read(messages, chatty("byte-level BPE", "ChatML")).tokens
    b = read(messages, chatty("byte-level BPE", "Llama")).tokens
    found = coverage(align_tokens(a, b), a, b)
    assert found.aligned_tokens_a == found.content_tokens_a == found.content_tokens_b


def test_a_conversation_too_long_is_cut_at_its_end():
    messages = chat("What is a class statement?", "It makes a class object.")
    full = read(messages, chatty("byte-level BPE", "ChatML"))
    cut = read(messages, chatty("byte-level BPE", "ChatML"), limit=len(full.content) // 2)
    assert cut.input_ids.tolist() == full.input_ids[: len(full.content) // 2].tolist()
    assert cut.truncated_characters == full.ends.max() - cut.ends.max() > 0


@pytest.mark.parametrize("kind", KINDS)
def test_plain_is_the_contents_joined(kind):
    messages = chat("What is it?", "A class.")
    plain = read(messages, tokenizer(kind), chat_template="plain")
    text = read("What is it?\nA class.", tokenizer(kind))
    assert plain.input_ids.tolist() == text.input_ids.tolist()
    in_both = plain.place != Place.ANSWER_START
    assert plain.ends[in_both].tolist() == text.ends[in_both].tolist()
    assert (~in_both).sum() == 1


# Refusals


def refusal(kind, template, messages, error=CorpusError):
    with pytest.raises(error) as caught:
        read(messages, chatty(kind, template))
    assert "crossdiff_chat_template = plain" in str(caught.value)
    return str(caught.value)


def test_no_chat_template():
    message = refusal("WordPiece", None, chat("Hi"), ModelError)
    assert "has no chat template, and the corpus has messages" in message


def test_a_template_that_refuses_a_role():
    message = refusal("byte-level BPE", "Gemma", chat("Be kind.", "Hi", roles=("system", "user")))
    assert "refuses a conversation of system, user: System role not supported" in message


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{{ m.content.frobnicate() }}{% endfor %}",
        "{% for m in messages %}{{ m.content + 1 }}{% endfor %}",
        "{% for m in messages %}{{ m.content }",
    ],
)
def test_a_template_that_breaks(template):
    assert "refuses a conversation of user" in refusal("byte-level BPE", template, chat("Hi"))


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[0].content }}",
        "{{ messages[1].content }}{{ messages[0].content }}",
        "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
        "{{ messages[0].content }}{{ messages[1].content.split('x')[-1] }}!",
        "{{ messages[0].content | length + 9 }}{{ messages[0].content }}{{ messages[1].content }}",
        "{{ messages[0].content }}{{ messages[1].content }}{{ '!' if 'x' in messages[1].content }}",
    ],
)
def test_a_template_that_drops_moves_or_rewrites_a_content(template):
    message = refusal("byte-level BPE", template, chat("four", "two x three"))
    assert "drops, moves or rewrites message" in message


def test_a_slow_tokenizer():
    class Slow:
        is_fast = False
        name_or_path = "org/model"

    with pytest.raises(ModelError, match="no fast tokenizer: org/model has a Slow"):
        read("text", Slow())
