"""Turns of a conversation with what they say besides their content: reasoning and tool calls."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from pytest_crossdiff.engine.corpus.documents import from_records, read
from pytest_crossdiff.engine.corpus.messages import Message
from pytest_crossdiff.errors import CorpusError

ASK = {"role": "user", "content": "What is the load of the gateway?"}


def call(name="load_of", arguments=None):
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


def turn(arguments=None, **others):
    """An assistant's turn that calls a tool."""
    calls = [call(arguments={"node": "gateway-7"} if arguments is None else arguments)]
    return {"role": "assistant", "content": "", "tool_calls": calls, **others}


def conversation(*turns, **others):
    return from_records([{"messages": [ASK, *turns], **others}]).documents[0]


def texts(message):
    return [part.text for part in message.parts]


def test_a_message_without_more_is_its_role_and_content():
    assert conversation({"role": "assistant", "content": "It is 0.9."}).messages == (
        Message("user", ASK["content"]),
        Message("assistant", "It is 0.9."),
    )


def test_conversations_that_differ_in_the_call_alone_are_different_documents():
    records = [{"messages": [ASK, turn({"node": f"gateway-{i}"})]} for i in range(60)]
    corpus = from_records(records)
    assert (len(corpus.documents), corpus.duplicates) == (60, 0)


@pytest.mark.parametrize(
    "other",
    [
        turn({"node": "gateway-8"}),
        turn(reasoning_content="Let me see."),
        turn(name="agent"),
        {**turn(), "content": "Let me look."},
        {**turn(), "content": None},
    ],
)
def test_the_digest_knows_what_a_turn_says_besides_its_content(other):
    first, second = (from_records([{"messages": [ASK, t]}]).digest for t in (turn(), other))
    assert first != second


def test_the_tools_of_a_conversation_are_part_of_it():
    tools = [{"type": "function", "function": {"name": "load_of"}}]
    document = conversation(turn(), tools=tools)
    assert json.loads(document.tools) == tools
    without = conversation(turn())
    assert (without.tools, without.messages) == ("", document.messages)


def test_reasoning_comes_before_the_content_and_calls_after_it():
    message = conversation(turn(reasoning_content="It asks for a load.", content="One moment."))
    assert texts(message.messages[1]) == [
        "It asks for a load.",
        "One moment.",
        "load_of",
        "gateway-7",
    ]
    assert message.messages[1].text == "It asks for a load.\nOne moment.\nload_of\ngateway-7"


def test_reasoning_under_two_names_is_one_text():
    message = conversation(turn(reasoning="Hm.", reasoning_content="Hm.", content="Yes."))
    (reasoning, *_) = message.messages[1].parts
    assert reasoning.text == "Hm."
    assert {path[0] for path in reasoning.paths} == {"reasoning", "reasoning_content"}


def test_arguments_are_read_whether_they_are_an_object_or_json_in_a_string():
    arguments = {"node": "gateway-7", "within": {"hours": 3, "days": [1, 2.5]}, "full": True}
    as_object, as_string = (conversation(turn(a)) for a in (arguments, json.dumps(arguments)))
    assert as_object.messages == as_string.messages
    assert texts(as_object.messages[1]) == ["", "load_of", "gateway-7", "3", "1", "2.5", "true"]


def test_arguments_that_are_no_json_object_are_one_text():
    assert texts(conversation(turn("load of gateway")).messages[1])[1:] == [
        "load_of",
        "load of gateway",
    ]


@pytest.mark.parametrize("more", [{"tool_calls": None}, {"tool_calls": []}, {"name": ""}])
def test_keys_that_hold_nothing_change_nothing(more):
    said = {"role": "assistant", "content": "Yes."}
    assert conversation({**said, **more}) == conversation(said)


def test_identifiers_and_times_that_templates_do_not_read_change_nothing():
    said = {"role": "assistant", "content": "Yes."}
    assert conversation({**said, "created": 1700000000, "refusal": None}) == conversation(said)


def test_a_turn_may_be_a_call_alone():
    message = conversation({**turn(), "content": None}).messages[1]
    assert (message.content, texts(message)) == ("", ["", "load_of", "gateway-7"])
    assert message.turn()["content"] is None


def test_a_conversation_of_calls_alone_is_not_empty():
    corpus = from_records([{"messages": [{"role": "user", "content": ""}, turn()]}])
    assert corpus.empty == 0


def test_calls_that_json_cannot_hold_are_refused():
    with pytest.raises(CorpusError, match="record 1 has message 2 with tool calls or tools that"):
        conversation(turn({"node": {1, 2}}))


def test_a_turn_without_anything_to_read_is_refused():
    with pytest.raises(CorpusError, match="message 2 without content"):
        conversation({"role": "assistant", "tool_call_id": "call_1"})


def test_tools_may_be_json_in_a_string():
    tools = [{"name": "load_of"}]
    assert conversation(turn(), tools=json.dumps(tools)) == conversation(turn(), tools=tools)
    assert conversation(turn(), tools="[]") == conversation(turn())


@pytest.mark.parametrize("tools", ["load_of", {"name": "load_of"}, ["load_of"], "null", 3])
def test_tools_of_another_form_are_refused(tools):
    with pytest.raises(CorpusError, match="record 1 has 'tools' that is"):
        conversation(turn(), tools=tools)


def test_nulls_that_parquet_adds_for_keys_of_other_rows_are_no_arguments(tmp_path):
    turns = turn({"node": "gateway-7"}), turn({"pod": "web-1"})
    table = pyarrow.table({"messages": [[ASK, t] for t in turns]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    read_back = [document.messages[1] for document in read(str(tmp_path / "a.parquet")).documents]
    assert read_back == [conversation(t).messages[1] for t in turns]


def test_calls_and_tools_are_read_from_parquet(tmp_path):
    tools = [{"name": "load_of"}]
    table = {"messages": [[ASK, turn()]], "tools": [tools]}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    (document,) = read(str(tmp_path / "a.parquet")).documents
    assert json.loads(document.tools) == tools
    assert texts(document.messages[1]) == ["", "load_of", "gateway-7"]


def test_what_a_turn_says_can_be_put_in_its_place():
    message = conversation(turn({"node": "gateway-7", "hours": 3}, reasoning="Hm.")).messages[1]
    texts = {part.paths[0]: f"<{i}>" for i, part in enumerate(message.parts)}
    made = message.turn(texts)
    assert made["reasoning"] == "<0>"
    assert made["tool_calls"][0]["function"] == {
        "name": "<2>",
        "arguments": {"node": "<3>", "hours": "<4>"},
    }
    assert message.turn()["tool_calls"][0]["function"]["arguments"]["hours"] == 3
