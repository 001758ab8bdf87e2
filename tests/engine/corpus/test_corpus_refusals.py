"""What can't be read as a corpus is refused, with the place and the remedy."""

import os
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from pytest_crossdiff.engine.corpus.documents import from_records, read
from pytest_crossdiff.errors import CorpusError


def refusal(source):
    with pytest.raises(CorpusError) as caught:
        read(source) if isinstance(source, str) else from_records(source)
    return str(caught.value)


def test_missing_file_suggests_the_near_name(write, tmp_path):
    write("prompts.jsonl", "")
    message = refusal(str(tmp_path / "promts.jsonl"))
    assert f"did you mean {tmp_path / 'prompts.jsonl'}?" in message
    assert "builtin:pydoc" in refusal(str(tmp_path / "no" / "such.txt"))
    assert "there is no corpus ''" in refusal("")


def test_unknown_kinds_say_what_can_be_read(write):
    assert "a.docx is of no kind that can be read" in refusal(write("a.docx", "x"))
    assert "the only one is builtin:pydoc" in refusal("builtin:pydocs")


def test_folder_without_readable_files_lists_what_was_found(write, tmp_path):
    write("a.md", "x")
    write("sub/b.json", "{}")
    message = refusal(str(tmp_path))
    assert "but a.md, sub/b.json" in message
    assert "put .txt, .jsonl, .csv or .parquet files there" in message


@pytest.mark.parametrize(
    ("name", "content"), [("a.txt", " \n"), ("a.jsonl", "\n"), ("a.csv", ""), ("b.csv", "text\n")]
)
def test_empty_corpus_is_refused(write, name, content):
    message = refusal(write(name, content))
    assert "the corpus is empty: 0 records, 0 of them without text" in message


def test_only_empty_records_are_refused():
    assert "the corpus is empty: 2 records, 2 of them" in refusal(["", {"text": "\n"}])


def test_invalid_utf8_names_file_line_and_offset(write):
    message = refusal(write("a.txt", "één\n".encode() + b"two \xe9\n"))
    assert "a.txt:2: byte 0xe9 at offset 10 is not UTF-8" in message
    assert "it looks like UTF-16" in refusal(write("b.txt", "text".encode("utf-16")))


def test_malformed_json_names_file_and_line(write):
    message = refusal(write("a.jsonl", '{"text": "one"}\n\n{"text": \n'))
    assert "a.jsonl:3: malformed JSON: Expecting value" in message
    assert "a.jsonl:1: malformed JSON" in refusal(write("a.jsonl", "[" * 100_000))
    assert "a.jsonl:1: a list instead of an object" in refusal(write("a.jsonl", "[1]"))


def test_half_a_surrogate_pair_names_the_line(write):
    message = refusal(write("a.jsonl", '{"text": "\\ud83d\\ude42"}\n{"text": "x\\ud800"}\n'))
    assert "a.jsonl:2 has half a surrogate pair, U+D800" in message
    assert "U+DFFF" in refusal([{"text": "fine", "id": "\udfff"}])


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"prompt": "x"}, "neither 'text' nor 'messages', but 'prompt'"),
        ({}, "neither 'text' nor 'messages', but nothing at all"),
        ({"text": "x", "messages": []}, "both 'text' and 'messages'"),
        ({"text": 3}, "'text' that is a int, not text"),
        ({"messages": "x"}, "'messages' that is a str, not a list"),
        ({"messages": ["x"]}, "message 1 without a role"),
        ({"messages": [{"content": "x"}]}, "message 1 without a role"),
        ({"messages": [{"role": "assistant", "tool_calls": []}]}, "message 1 without content"),
        ({"messages": [{"role": "user", "content": 3}]}, "the content of message 1 that is a int"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "url": "x"}]}]},
            "message 1 with a part of the type 'image'",
        ),
        ({"text": "x", "id": [1]}, "'id' that is a list"),
        ({"text": "x", "document": 1.5}, "'document' that is a float"),
        ({"text": "x", "slice": ["a"]}, "'slice' that is a list"),
        (None, "a NoneType, not a text or a mapping"),
    ],
)
def test_unusable_records_are_refused_by_number(record, words):
    message = refusal(["fine", record])
    assert message.startswith(f"record 2 has {words}")
    assert "to do: " in message


def test_one_string_is_no_list_of_records():
    with pytest.raises(CorpusError, match="the corpus is a str, not a list"):
        from_records("text")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,body\n1,x\n", "a.csv has no column of texts, but 'id', 'body'"),
        ("id,body\n", "a.csv has no column of texts, but 'id', 'body'"),
        ("id,text\n1,x\n2,x,y\n", "a.csv:3: more fields than the header has"),
        ("id,text\n1\n", "a.csv:2: fewer fields than the header has"),
        ('text\n"x\ny\n', "a.csv:2: malformed CSV: unexpected end of data"),
        ('text\n"x"y\n', "a.csv:2: malformed CSV"),
    ],
)
def test_damaged_csv_names_the_line(write, content, words):
    assert words in refusal(write("a.csv", content))


def test_damaged_parquet_is_refused(write, tmp_path):
    assert "a.parquet is damaged or no parquet file" in refusal(write("a.parquet", b"PAR1xxxx"))
    path = tmp_path / "b.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"body": ["x"]}), path)
    assert "b.parquet has no column of texts, but 'body'" in refusal(str(path))


def test_folder_without_permission_is_refused(write, tmp_path, monkeypatch):
    write("closed/a.txt", "x")
    write("b.txt", "y")
    allowed = os.scandir

    def scandir(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return allowed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    message = refusal(str(tmp_path))
    assert f"{tmp_path / 'closed'} can't be read: Permission denied" in message
    assert f"crossdiff_corpus = {tmp_path}" in message


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jsonl")
    assert "a.jsonl is no file but a pipe or a device" in refusal(str(tmp_path / "a.jsonl"))


def test_a_home_of_nobody_is_refused():
    assert "~no-such-user-here/a.txt can't be a path" in refusal("~no-such-user-here/a.txt")


def test_unreadable_path_is_refused(tmp_path):
    assert "can't be read: File name too long" in refusal(str(tmp_path / ("x" * 300 + ".txt")))


def test_parquet_without_its_package_says_which_extra(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert "pip install 'pytest-crossdiff[parquet]'" in refusal(write("a.parquet", b"PAR1"))
