"""Where an answer begins, whose turn a token is in, and where reasoning and tool calls stand."""

import copy

import numpy as np
import pytest

from pytest_crossdiff.engine.activations.alignment import align_tokens
from pytest_crossdiff.engine.activations.conversations import Place, render
from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.corpus.documents import from_records
from pytest_crossdiff.engine.corpus.sampling import Piece
from pytest_crossdiff.errors import CorpusError
from support.tokenizers import tokenizer

PROMPT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    + PROMPT
)
LLAMA = (
    "{{ bos_token }}{% for m in messages %}<|header|>{{ m.role }}<|end|>\n\n"
    "{{ m.content | trim }}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|header|>assistant<|end|>\n\n{% endif %}"
)
INST = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}</s>{% endif %}{% endfor %}"
)
HERMES = (
    "{% if tools %}<|im_start|>system\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>\n{% endif %}"
    "{{ m.content }}{% for c in m.tool_calls or [] %}"
    '<tool_call>{"name": "{{ c.function.name }}", "arguments": '
    "{{ c.function.arguments | tojson }}}</tool_call>{% endfor %}<|im_end|>\n{% endfor %}" + PROMPT
)
TEMPLATES = {"ChatML": CHATML, "Llama": LLAMA, "INST": INST, "Hermes": HERMES}
ASK = {"role": "user", "content": "What is the load of the gateway?"}
TOOLS = [{"type": "function", "function": {"name": "load_of"}}]


def reader(template, kind="byte-level BPE"):
    made = copy.deepcopy(tokenizer(kind))
    made.chat_template = TEMPLATES.get(template, template)
    return made


def say(content="", **more):
    return {"role": "assistant", "content": content, **more}


def call(name="load_of", **arguments):
    return [{"type": "function", "id": "c1", "function": {"name": name, "arguments": arguments}}]


def piece_of(*turns, heldout=False, number=0, **others):
    (document,) = from_records([{"messages": list(turns), **others}]).documents
    return Piece(number, 0, None, document.messages, heldout, document.tools)


def read(piece, template, kind="byte-level BPE", chat_template="own"):
    return tokenize(piece, reader(template, kind), chat_template=chat_template, limit=10_000)


def at(encoded, place):
    return np.flatnonzero(encoded.content & (encoded.place == place))


def said(encoded, piece, place):
    where = at(encoded, place)
    return "".join(piece.shared_text[encoded.starts[i] : encoded.ends[i]] for i in where)


# Where an answer begins


@pytest.mark.parametrize("kind", ["byte-level BPE", "SentencePiece BPE"])
@pytest.mark.parametrize("template", ["ChatML", "Llama", "Hermes"])
def test_an_answer_begins_at_the_last_token_of_the_prompt(kind, template):
    """That is what the model is given in service: the turns before, and the template's prompt."""
    turns = [ASK, say("It is 0.93."), {"role": "user", "content": "Too high?"}, say("No.")]
    piece, tok = piece_of(*turns), reader(template, kind)
    encoded = read(piece, template, kind)
    starts = at(encoded, Place.ANSWER_START).tolist()
    prompts = [
        tok.apply_chat_template(turns[:n], add_generation_prompt=True, tokenize=False)
        for n in (1, 3)
    ]
    ids = [tok(prompt, add_special_tokens=False)["input_ids"] for prompt in prompts]
    assert starts == [len(prompt) - 1 for prompt in ids]
    for start, prompt in zip(starts, ids, strict=True):
        assert encoded.input_ids[: start + 1].tolist() == prompt


def test_it_has_the_place_of_the_line_break_before_the_answer():
    piece = piece_of(ASK, say("It is 0.93."))
    encoded = read(piece, "ChatML")
    (start,) = at(encoded, Place.ANSWER_START)
    begin = len(ASK["content"]) + 1
    assert (encoded.starts[start], encoded.ends[start]) == (begin - 1, begin)
    assert piece.shared_text[begin:].startswith("It is")


def test_it_is_found_where_a_template_writes_no_prompt():
    """The answer's first token holds the space in front of it, which belongs to the template."""
    tok = reader("INST")
    encoded = read(piece_of(ASK, say("the load")), "INST")
    (start,) = at(encoded, Place.ANSWER_START)
    assert tok.decode(encoded.input_ids[: start + 1]).endswith("[/INST]")
    assert tok.decode(encoded.input_ids[start + 1]) == " the"


@pytest.mark.parametrize("templates", [("ChatML", "Llama"), ("ChatML", "INST")])
def test_two_models_meet_where_an_answer_begins(templates):
    piece = piece_of(ASK, say("It is 0.93."), ASK, say(" No. "))
    kinds = "byte-level BPE", "SentencePiece BPE"
    a, b = (read(piece, t, kind) for t, kind in zip(templates, kinds, strict=True))
    pairs = align_tokens(a.tokens, b.tokens)
    starts_a, starts_b = (at(e, Place.ANSWER_START).tolist() for e in (a, b))
    assert len(starts_a) == len(starts_b) == 2
    assert {*zip(starts_a, starts_b, strict=True)} <= {tuple(p) for p in pairs.tolist()}
    assert (a.place[pairs[:, 0]] == b.place[pairs[:, 1]]).all()


def test_in_plain_text_it_is_the_token_in_front_of_the_answer():
    piece = piece_of(ASK, say("It is 0.93."))
    encoded = read(piece, None, chat_template="plain")
    (start,) = at(encoded, Place.ANSWER_START)
    assert encoded.ends[start] == len(ASK["content"]) + 1
    assert encoded.starts[start + 1] == len(ASK["content"]) + 1


def test_a_first_message_of_the_assistant_has_no_prompt():
    encoded = read(piece_of(say("Hello."), ASK, say("0.93")), "ChatML")
    assert len(at(encoded, Place.ANSWER_START)) == 1


# Whose turn it is


def test_the_turns_of_user_system_and_tool_are_context():
    turns = [
        {"role": "system", "content": "Be brief."},
        ASK,
        say("Hm. "),
        {"role": "tool", "content": "1"},
    ]
    piece = piece_of(*turns, say("It is 1."))
    encoded = read(piece, "ChatML")
    assert said(encoded, piece, Place.CONTEXT) == "Be brief." + ASK["content"] + "1"
    assert said(encoded, piece, Place.TEXT) == "Hm. It is 1."


@pytest.mark.parametrize("chat_template", ["own", "plain"])
def test_a_conversation_without_an_answer_is_text(chat_template):
    piece = piece_of({"role": "system", "content": "Be brief."}, ASK)
    encoded = read(piece, "ChatML", chat_template=chat_template)
    assert {*encoded.place.tolist()} == {Place.TEXT}


def test_running_text_is_text():
    encoded = read(Piece(0, 0, "The load.", (), heldout=False), "ChatML")
    assert {*encoded.place.tolist()} == {Place.TEXT}


# Reasoning and tool calls


def test_what_is_read_is_what_the_template_makes_of_all_keys():
    turns = [ASK, say(tool_calls=call(node="gateway-7"), reasoning_content="Let me see.")]
    piece = piece_of(*turns, tools=TOOLS)
    rendered = render(piece.messages, reader("Hermes"), piece.tools)
    assert rendered.text == reader("Hermes").apply_chat_template(turns, tools=TOOLS, tokenize=False)
    assert rendered.unplaced == 0


def test_reasoning_names_and_arguments_are_compared():
    turns = [ASK, say("One moment.", tool_calls=call(node="gateway-7", hours=3, full=True),
                      reasoning_content="It asks for a load.")]  # fmt: skip
    piece = piece_of(*turns, tools=TOOLS)
    rendered = render(piece.messages, reader("Hermes"), piece.tools)
    assert [piece.shared_text[s.shared :][: s.length] for s in rendered.spans[1:]] == [
        "It asks for a load.", "One moment.", "load_of", "gateway-7", "3", "true",
    ]  # fmt: skip
    assert said(read(piece, "Hermes"), piece, Place.TEXT).startswith(
        "It asks for a load.One moment.load_ofgateway-7"
    )


def test_what_predicts_the_first_token_of_a_name_or_an_argument_is_compared():
    turns = [ASK, say("One moment.", tool_calls=call(node="gateway-7", hours=3))]
    tok, encoded = reader("Hermes"), read(piece_of(*turns), "Hermes")
    before = [tok.decode(encoded.input_ids[: i + 1]) for i in at(encoded, Place.PART_START)]
    assert [text[text.index("One") :] for text in before] == [
        'One moment.<tool_call>{"name": "',
        'One moment.<tool_call>{"name": "load_of", "arguments": {"node": "',
        'One moment.<tool_call>{"name": "load_of", "arguments": {"node": "gateway-7", "hours":',
    ]


def test_an_argument_is_found_though_json_escapes_some_of_it():
    piece = piece_of(ASK, say(tool_calls=call(query='say "yes"\nor é\\no')))
    rendered = render(piece.messages, reader("Hermes"))
    texts = [rendered.text[s.rendered : s.rendered + s.length] for s in rendered.spans]
    assert texts[1:] == ["load_of", "say ", "yes", "or é", "no"]
    for at_, place, length in rendered.spans:
        assert rendered.text[at_ : at_ + length] == piece.shared_text[place : place + length]


def test_the_answer_that_is_a_call_begins_where_the_prompt_ends():
    turns = [ASK, say(tool_calls=call(node="gateway-7"))]
    tok = reader("Hermes")
    encoded = read(piece_of(*turns, tools=TOOLS), "Hermes")
    (start,) = at(encoded, Place.ANSWER_START)
    prompt = tok.apply_chat_template(
        turns[:1], tools=TOOLS, add_generation_prompt=True, tokenize=False
    )
    assert start == len(tok(prompt, add_special_tokens=False)["input_ids"]) - 1


def test_a_turn_with_reasoning_begins_with_its_first_word():
    encoded = read(piece_of(ASK, say("Yes.", reasoning_content="the load")), "Hermes")
    (start,) = at(encoded, Place.ANSWER_START)
    tok = reader("Hermes")
    assert tok.decode(encoded.input_ids[: start + 1]).endswith("assistant\n<think>")


def test_what_a_template_leaves_out_is_counted():
    piece = piece_of(ASK, say("One moment.", tool_calls=call(node="gateway-7")))
    encoded = read(piece, "ChatML")
    assert encoded.unplaced_characters == len("load_of" + "gateway-7")
    assert said(encoded, piece, Place.TEXT) == "One moment."


def test_what_a_template_rewrites_is_counted_and_the_contents_are_found_all_the_same():
    template = CHATML.replace("{{ m.content }}", "{{ m.content }}{{ m.tool_calls | default('') }}")
    piece = piece_of(ASK, say("One moment.", tool_calls=call(node="gateway-7")), ASK, say("No."))
    encoded = read(piece, template)
    assert encoded.unplaced_characters == len("load_of" + "gateway-7")
    assert said(encoded, piece, Place.TEXT) == "One moment.No."


def test_reasoning_that_a_template_keeps_of_the_last_turn_alone_is_counted_elsewhere():
    template = HERMES.replace(
        "{% if m.reasoning_content %}", "{% if m.reasoning_content and loop.last %}"
    )
    turns = [ASK, say("Yes.", reasoning_content="Hm."), ASK, say("No.", reasoning_content="Oh.")]
    piece = piece_of(*turns)
    encoded = read(piece, template)
    assert encoded.unplaced_characters == len("Hm.")
    assert said(encoded, piece, Place.TEXT) == "Yes.Oh.No."


def test_texts_in_another_order_than_the_shared_one_are_counted():
    template = (
        "{% for m in messages %}{% for c in m.tool_calls or [] %}({{ c.function.name }})"
        "{% endfor %}<{{ m.content }}>{% endfor %}"
    )
    piece = piece_of(ASK, say("One moment.", tool_calls=call()))
    encoded = read(piece, template)
    assert encoded.unplaced_characters == len("load_of")
    assert said(encoded, piece, Place.TEXT) == "One moment."


def test_a_content_that_a_template_drops_is_refused_with_calls_too():
    with pytest.raises(CorpusError, match="drops, moves or rewrites message 2"):
        read(piece_of(ASK, say("One moment.", tool_calls=call())), "{{ messages[0].content }}")
