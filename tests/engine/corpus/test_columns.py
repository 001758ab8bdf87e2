"""`crossdiff_corpus_column`: which keys of a record hold its text, and whose turn it is."""

import pyarrow
import pyarrow.parquet
import pytest

from pytest_crossdiff.engine.corpus.documents import from_records, read
from pytest_crossdiff.engine.corpus.prompts import prompts
from pytest_crossdiff.errors import CorpusError, SettingsError
from pytest_crossdiff.settings.parsing import parse

RECORD = {"question": "Why?", "answer": "Because.", "rules": "Be kind.", "body": "A text."}


def document(column, record=RECORD):
    (found,) = from_records([record], column=column).documents
    return found


def turns(found):
    return [(message.role, message.content) for message in found.messages]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("question", [("user", "Why?")]),
        ("user:body", [("user", "A text.")]),
        ("question, answer", [("user", "Why?"), ("assistant", "Because.")]),
        (
            "system:rules, user:question, assistant:answer",
            [("system", "Be kind."), ("user", "Why?"), ("assistant", "Because.")],
        ),
    ],
)
def test_columns_are_the_turns_of_a_conversation(column, expected):
    assert turns(document(column)) == expected


@pytest.mark.parametrize("name", ["prompt", "question", "input", "query", "instruction"])
def test_a_column_named_for_what_users_say_makes_a_prompt(name):
    corpus = from_records([{name: "Why?"}], column=name)
    assert [prompt.question for prompt in prompts(corpus)] == ["Why?"]


@pytest.mark.parametrize("column", ["body", "text:question"])
def test_other_columns_are_running_text(column):
    assert document(column).text == RECORD[column.removeprefix("text:")]


def test_a_column_may_hold_whole_conversations():
    chat = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    said = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    expected = [("user", "Hi"), ("assistant", "Hello")]
    assert turns(document("prompt", {"prompt": chat})) == expected
    assert turns(document("conversations", {"conversations": said})) == expected
    split = {"prompt": chat[:1], "completion": chat[1:]}
    assert turns(document("prompt, completion", split)) == expected


def test_a_path_of_keys_reaches_into_objects():
    record = {"vars": {"question": "Why?"}, "assert": []}
    assert turns(document("vars.question", record)) == [("user", "Why?")]


def test_the_records_own_names_are_kept():
    record = {"question": "Why?", "id": 7, "document": "faq", "slice": "short"}
    found = document("question", record)
    assert (found.id, found.group, found.part) == ("7", "faq", "short")


def test_columns_win_over_text_and_known_formats():
    assert document("question", {**RECORD, "text": "other"}).text is None
    assert turns(document("input", {"input": "Why?", "expected_output": "x"})) == [("user", "Why?")]


def test_tables_are_read_by_their_columns(write, tmp_path):
    assert turns(read(write("a.csv", "n,question\n1,Why?\n2,\n"), "question").documents[0]) == [
        ("user", "Why?")
    ]
    path = tmp_path / "a.parquet"
    rows = {"question": ["Why?", "How?"], "text": ["a", "b"], "vector": [[0.1], [0.2]]}
    pyarrow.parquet.write_table(pyarrow.table(rows), path)
    assert [turns(d)[0][1] for d in read(str(path), "question").documents] == ["Why?", "How?"]


def test_empty_values_are_empty_records_and_empty_turns_are_left_out(write):
    corpus = read(write("a.csv", "question,answer\nWhy?,\n,\n"), "question, answer")
    assert (corpus.records, corpus.empty) == (2, 1)
    assert turns(corpus.documents[0]) == [("user", "Why?")]


def test_paragraphs_need_no_column(write):
    assert read(write("a.txt", "one"), "question").documents[0].text == "one"


def test_a_missing_column_is_refused_with_the_near_name():
    with pytest.raises(CorpusError) as caught:
        from_records([{"text": "x", "question": "Why?"}], column="qestion")
    assert "record 1 has no key 'qestion', but 'text', 'question'" in str(caught.value)
    assert "did you mean crossdiff_corpus_column = question?" in str(caught.value)


def test_a_record_of_unknown_form_says_which_setting_would_read_it(write):
    with pytest.raises(CorpusError, match="set crossdiff_corpus_column = prompt, or write"):
        from_records([{"prompt": "x", "label": 3}])
    with pytest.raises(CorpusError, match="set crossdiff_corpus_column = body, or write"):
        from_records([{"body": "x", "label": 3}])
    with pytest.raises(CorpusError, match="set crossdiff_corpus_column = question, or name"):
        read(write("a.csv", "n,question\n1,x\n"))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("user:", "a column's name is missing after its role"),
        ("text:a, b", "text: is for a column that is read alone"),
        ("a, b, c", "name the role of each of several columns"),
    ],
)
def test_contradictions_in_the_setting_are_refused(raw, words):
    with pytest.raises(SettingsError, match=words):
        parse("corpus_column", raw, "pytest.ini")


def test_a_name_may_have_a_colon_that_is_no_role():
    assert parse("corpus_column", " ns:question ,answer", "pytest.ini") == "ns:question, answer"
    assert turns(document("ns:question, answer", {"ns:question": "Why?", "answer": "So."})) == [
        ("user", "Why?"),
        ("assistant", "So."),
    ]
