"""Files of other tools are read as they are: what each test holds is in that tool's own form."""

import csv
import io
import json

import pytest

from pytest_crossdiff.engine.corpus.documents import from_records, read
from pytest_crossdiff.errors import CorpusError


def turns(document):
    return [(message.role, message.content) for message in document.messages]


def jsonl(rows):
    return "\n".join(map(json.dumps, rows))


def refusal(record):
    with pytest.raises(CorpusError) as caught:
        from_records(["fine", record])
    return str(caught.value)


class TestOpenAI:
    def test_fine_tuning_examples_are_conversations(self):
        record = {
            "messages": [
                {"role": "system", "content": "Be kind."},
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": "Hello", "weight": 0},
            ],
            "parallel_tool_calls": False,
            "tools": [{"type": "function", "function": {"name": "f"}}],
        }
        (document,) = from_records([record]).documents
        assert turns(document)[2] == ("assistant", "Hello")
        assert json.loads(document.tools)[0]["function"]["name"] == "f"

    def test_functions_of_the_first_form_are_tools(self):
        record = {"messages": [{"role": "user", "content": "x"}], "functions": [{"name": "f"}]}
        (document,) = from_records([record]).documents
        assert json.loads(document.tools) == [{"type": "function", "function": {"name": "f"}}]

    def test_a_refusal_is_what_the_model_says(self):
        said = [
            {"role": "assistant", "content": None, "refusal": "I can't."},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "I can't."}]},
        ]
        records = [{"messages": [{"role": "user", "content": "x"}, turn]} for turn in said]
        corpus = from_records(records)
        assert turns(corpus.documents[0])[1] == ("assistant", "I can't.")
        assert (corpus.duplicates, corpus.unread) == (1, ())

    def test_preferences_are_the_prompt_and_the_preferred_answer(self):
        record = {
            "input": {
                "messages": [{"role": "user", "content": "Hi"}],
                "tools": [],
                "parallel_tool_calls": True,
            },
            "preferred_output": [{"role": "assistant", "content": "Hello!"}],
            "non_preferred_output": [{"role": "assistant", "content": "What?"}],
        }
        (document,) = from_records([record]).documents
        assert turns(document) == [("user", "Hi"), ("assistant", "Hello!")]

    @pytest.mark.parametrize(
        ("url", "body", "expected"),
        [
            (
                "/v1/chat/completions",
                {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 9},
                [("user", "Hi")],
            ),
            (
                "/v1/responses",
                {"model": "m", "instructions": "Be kind.", "input": "Hi"},
                [("system", "Be kind."), ("user", "Hi")],
            ),
            (
                "/v1/responses",
                {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
                [("user", "Hi")],
            ),
        ],
    )
    def test_requests_of_a_batch_are_conversations_with_their_ids(self, url, body, expected):
        record = {"custom_id": "request-1", "method": "POST", "url": url, "body": body}
        (document,) = from_records([record]).documents
        assert (document.id, turns(document)) == ("request-1", expected)

    @pytest.mark.parametrize(
        ("url", "body"),
        [
            ("/v1/completions", {"prompt": "Once upon"}),
            ("/v1/embeddings", {"input": "Once upon"}),
        ],
    )
    def test_requests_without_turns_are_running_text(self, url, body):
        record = {"custom_id": "1", "method": "POST", "url": url, "body": body}
        (document,) = from_records([record]).documents
        assert document.text == "Once upon"

    def test_the_output_of_a_batch_has_no_prompts(self):
        record = {"id": "b", "custom_id": "r", "response": {"status_code": 200, "body": {}}}
        assert "the answer of a batch without what was asked" in refusal(record)
        assert "give the input file of the batch" in refusal(record)


class TestLmEval:
    """As `lm-eval --log_samples` writes them."""

    def sample(self, *requests, target="8", number=0, **others):
        arguments = {
            f"gen_args_{i}": {f"arg_{j}": value for j, value in enumerate(request)}
            for i, request in enumerate(requests)
        }
        return {
            "doc_id": number,
            "doc": {"question": "q"},
            "target": target,
            "arguments": arguments,
            "resps": [["9"]],
            "filtered_resps": ["9"],
            "filter": "none",
            "doc_hash": "h",
            "exact_match": 0.0,
            **others,
        }

    def test_a_generating_task_is_its_prompt(self):
        sample = self.sample(("Q: 3 + 5?\nA:", {"until": ["\n"]}), number=7)
        (document,) = from_records([sample]).documents
        assert (document.id, document.text) == ("7", "Q: 3 + 5?\nA:")

    def test_a_choice_is_its_prompt_with_the_right_continuation(self):
        sample = self.sample(("The sky is", " green"), ("The sky is", " blue"), target="1")
        assert from_records([sample]).documents[0].text == "The sky is blue"
        sample = self.sample(("The sky is", " green"), ("The sky is", " blue"), target="b")
        assert from_records([sample]).documents[0].text == "The sky is"

    def test_a_rolling_task_is_its_text(self):
        assert from_records([self.sample(("A whole text.",))]).documents[0].text == "A whole text."

    def test_the_messages_of_a_chat_api_are_a_conversation(self):
        asked = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}]
        (document,) = from_records([self.sample(([json.dumps(asked)], {}))]).documents
        assert turns(document) == [("system", "S"), ("user", "U")]

    def test_one_sample_under_several_filters_counts_once(self):
        samples = [self.sample(("Q", {}), filter=name) for name in ("strict", "flexible")]
        assert from_records(samples).duplicates == 1

    def test_samples_of_earlier_versions_list_their_arguments(self):
        sample = {**self.sample(), "arguments": [["Q: 1?", {"until": []}]]}
        assert from_records([sample]).documents[0].text == "Q: 1?"


GOLDEN = {
    "input": "Where is my order?",
    "actual_output": None,
    "expected_output": "It is on its way.",
    "retrieval_context": None,
    "context": ["c"],
    "name": "order",
    "comments": None,
    "source_file": None,
}
EXPECTED = [("user", "Where is my order?"), ("assistant", "It is on its way.")]


class TestDeepeval:
    """As `EvaluationDataset.save_as` writes them."""

    def table(self, row):
        file = io.StringIO()
        writer = csv.DictWriter(file, row)
        writer.writeheader()
        writer.writerow(row)
        return file.getvalue()

    def test_goldens_are_a_question_and_its_reference_answer(self, write):
        files = {
            "a.json": json.dumps([GOLDEN], indent=4),
            "a.jsonl": json.dumps(GOLDEN),
            "a.csv": self.table(GOLDEN),
        }
        for name, content in files.items():
            (document,) = read(write(name, content)).documents
            assert (document.id, turns(document)) == ("order", EXPECTED), name

    def test_without_a_reference_the_question_is_a_lone_prompt(self):
        (document,) = from_records([{**GOLDEN, "expected_output": None}]).documents
        assert turns(document) == EXPECTED[:1]

    def test_what_a_model_answered_is_no_part_of_the_corpus(self):
        (document,) = from_records([{**GOLDEN, "actual_output": "No idea."}]).documents
        assert turns(document) == EXPECTED

    def test_turns_are_a_conversation_and_what_is_left_out_of_them_is_counted(self, write):
        row = {
            "scenario": "s",
            "turns": [
                {"role": "user", "content": "Hi", "user_id": "u", "tools_called": None},
                {"role": "assistant", "content": "Hello", "retrieval_context": ["x"]},
            ],
            "expected_outcome": None,
        }
        expected = [("user", "Hi"), ("assistant", "Hello")]
        as_table = self.table({**row, "turns": json.dumps(row["turns"])})
        for name, content in (("a.json", json.dumps([row])), ("a.csv", as_table)):
            corpus = read(write(name, content))
            assert turns(corpus.documents[0]) == expected
            assert corpus.unread == (("retrieval_context", 1), ("user_id", 1))


class TestShareGPT:
    def test_its_roles_are_those_of_chat_templates(self):
        record = {
            "id": "x1",
            "system": "Be kind.",
            "conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}],
        }
        (document,) = from_records([record]).documents
        assert document.id == "x1"
        assert turns(document) == [("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello")]


class TestWholeFiles:
    def test_a_json_file_is_a_list_of_records(self, write):
        corpus = read(write("a.json", '["one", {"text": "two", "id": "second"}]'))
        assert [(d.id, d.text, d.part) for d in corpus.documents] == [
            ("a.json:record 1", "one", "a.json"),
            ("second", "two", "a.json"),
        ]
        wrapped = read(write("b.json", '{"data": ["one", "two"]}'))
        assert [d.text for d in wrapped.documents] == ["one", "two"]

    def test_an_object_a_line_may_be_called_json(self, write):
        corpus = read(write("a.json", jsonl([{"text": "one"}, {"text": "two"}])))
        assert [d.source for d in corpus.documents] == ["a.json:1", "a.json:2"]

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("a.json", "[1", "a.json: malformed JSON"),
            ("a.json", '"x"', "a.json holds a str, not a list of records"),
            ("a.json", "[3]", "a.json:record 1 has a int, not a text or a mapping"),
            ("a.yaml", "a: [", "a.yaml: malformed YAML"),
            ("a.json", b"\xff", "a.json:1: byte 0xff"),
        ],
    )
    def test_damaged_files_are_refused(self, write, name, content, words):
        with pytest.raises(CorpusError, match=words):
            read(write(name, content))

    def test_folders_keep_to_files_of_records(self, write, tmp_path):
        write("results_2026.json", '{"results": {"acc": 0.5}}')
        write("samples.jsonl", jsonl([TestLmEval().sample(("Q: 1?", {}))]))
        assert [d.text for d in read(str(tmp_path)).documents] == ["Q: 1?"]


def test_tables_hold_conversations_as_json(write):
    messages = json.dumps([{"role": "user", "content": "Hi, you"}])
    file = io.StringIO()
    csv.writer(file).writerows([["messages", "score"], [messages, 3]])
    (document,) = read(write("a.csv", file.getvalue())).documents
    assert turns(document) == [("user", "Hi, you")]


def test_keys_of_messages_that_nothing_reads_are_counted_and_said():
    messages = [
        {"role": "user", "content": "Hi", "timestamp": 3, "annotations": []},
        {"role": "assistant", "content": "Hello", "timestamp": 4, "weight": 1},
    ]
    corpus = from_records([{"messages": messages}, {"messages": messages[:1]}, "text"])
    assert corpus.unread == (("timestamp", 3), ("weight", 1))
    (remark,) = corpus.remarks()
    assert "'timestamp' (3 messages), 'weight' (1 message)" in remark
    assert from_records(["text"]).remarks() == []


@pytest.mark.parametrize("asked", [None, 5, "hello", {"a": 1}])
def test_a_preference_whose_messages_are_no_list_is_refused(asked):
    record = {"input": {"messages": asked}, "preferred_output": [{"role": "user", "content": "a"}]}
    with pytest.raises(CorpusError, match="'input' without a list of messages"):
        from_records([record])
