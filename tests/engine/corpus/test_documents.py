"""Reading a corpus: formats, encodings, normalisation, what is counted, the digest."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from pytest_crossdiff.engine.corpus.documents import Message, from_records, read


def texts(corpus):
    return [document.text for document in corpus.documents]


# Formats


def test_txt_paragraphs_are_documents(write):
    corpus = read(write("a.txt", "one\nstill one\n\n \t\n\ntwo\n"))
    assert texts(corpus) == ["one\nstill one", "two"]
    assert [d.id for d in corpus.documents] == ["a.txt:1", "a.txt:6"]


def test_jsonl_text_and_messages(write):
    rows = [
        {"text": "plain", "id": "p-1"},
        {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}]},
    ]
    corpus = read(write("a.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n"))
    plain, chat = corpus.documents
    assert (plain.id, plain.source, plain.text) == ("p-1", "a.jsonl:1", "plain")
    assert chat.text is None
    assert chat.messages == (Message("user", "Hi"), Message("assistant", "Yes?"))
    assert chat.id == "a.jsonl:2"
    assert corpus.records == 2


def test_text_parts_of_multimodal_messages_are_joined():
    parts = [{"type": "text", "text": "one "}, {"type": "text", "text": "two"}]
    corpus = from_records([{"messages": [{"role": "user", "content": parts}]}])
    assert corpus.documents[0].messages == (Message("user", "one two"),)


def test_csv_with_quotes_line_breaks_and_other_columns(write):
    content = 'label,text,id\nx,"a, ""b""\r\n\r\nc",7\r\ny,plain,\n'
    corpus = read(write("a.csv", content))
    assert texts(corpus) == ['a, "b"\n\nc', "plain"]
    assert [d.id for d in corpus.documents] == ["7", "a.csv:5"]


def test_csv_fields_may_be_long_and_the_limit_of_the_process_stays(write):
    before = csv.field_size_limit(1000)
    try:
        corpus = read(write("a.csv", "text\n" + "long " * 100_000 + "\nshort\n"))
        assert [len(text) for text in texts(corpus)] == [500_000, 5]
        assert csv.field_size_limit() == 1000
    finally:
        csv.field_size_limit(before)


def test_parquet_text_and_messages(tmp_path):
    turns = [{"role": "user", "content": "Hi\r\nthere"}]
    table = {
        "text": ["plain", None],
        "messages": [None, turns],
        "document": [3, 4],
        "other": [1, 2],
    }
    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table(table), path)
    corpus = read(str(path))
    assert texts(corpus) == ["plain", None]
    assert corpus.documents[1].messages == (Message("user", "Hi\nthere"),)
    assert [d.group for d in corpus.documents] == ["3", "4"]
    assert corpus.documents[1].id == "a.parquet:2"


def test_folder_is_read_recursively_in_order_of_relative_path(write, tmp_path):
    write("c/z.txt", "four")
    write("c/b.jsonl", '{"text": "three"}')
    write("b.CSV", "text\ntwo\n")
    write("a.txt", "one")
    write("notes.md", "not read")
    write(".hidden.txt", "not read")
    write(".cache/x.txt", "not read")
    corpus = read(str(tmp_path))
    assert texts(corpus) == ["one", "two", "three", "four"]
    assert corpus.documents[2].id == "c/b.jsonl:1"


def test_linked_folders_are_followed_and_circles_end(write, tmp_path):
    write("real/a.txt", "one")
    outside = write("outside/b.txt", "two")
    (tmp_path / "real/circle").symlink_to(tmp_path / "real", target_is_directory=True)
    (tmp_path / "real/linked").symlink_to(Path(outside).parent, target_is_directory=True)
    corpus = read(str(tmp_path / "real"))
    assert (texts(corpus), corpus.duplicates) == (["one", "two"], 0)


def test_builtin_corpus_is_cpython_documentation_without_repetition():
    corpus = read("builtin:pydoc")
    assert sum(map(len, texts(corpus))) > 200_000
    assert "pydoc:debugger" in {d.id for d in corpus.documents}
    paragraphs = [p for text in texts(corpus) for p in text.split("\n\n") if len(p) > 200]
    assert len(set(paragraphs)) > 0.98 * len(paragraphs)


def test_records_from_python_are_texts_or_mappings():
    corpus = from_records(["one", {"text": "two", "document": "d", "id": 5}], source="mine")
    assert texts(corpus) == ["one", "two"]
    assert [d.id for d in corpus.documents] == ["record 1", "5"]
    assert (corpus.documents[1].group, corpus.source) == ("d", "mine")


def test_a_document_belongs_to_the_part_its_record_names_or_else_to_its_file(write, tmp_path):
    write("a.txt", "one\n\ntwo")
    write(
        "b.jsonl",
        '{"text": "three"}\n{"text": "four", "slice": "code"}\n{"text": "five", "slice": 6}',
    )
    write("c/d.csv", "text,slice\nsix,\nseven,chat\n")
    pyarrow.parquet.write_table(
        pyarrow.table({"text": ["eight"], "slice": ["mail"]}), tmp_path / "e.parquet"
    )
    parts = [d.part for d in read(str(tmp_path)).documents]
    assert parts == ["a.txt", "a.txt", "b.jsonl", "code", "6", "c/d.csv", "chat", "mail"]
    assert [d.part for d in from_records(["one", {"text": "two", "slice": "x"}]).documents] == [
        "",
        "x",
    ]
    assert {d.part for d in read("builtin:pydoc").documents} == {"pydoc"}


# Normalisation and counts


def test_byte_order_mark_goes_and_line_ends_become_lf(write):
    corpus = read(write("a.txt", b"\xef\xbb\xbfone\r\ntwo\r\rthree\rfour\r\n\r\nfive"))
    assert texts(corpus) == ["one\ntwo", "three\nfour", "five"]
    assert [d.source for d in corpus.documents] == ["a.txt:1", "a.txt:4", "a.txt:7"]
    corpus = read(write("a.jsonl", b'\xef\xbb\xbf{"text": "a\\r\\nb\\rc"}\r\n'))
    assert texts(corpus) == ["a\nb\nc"]
    assert texts(read(write("a.csv", b"\xef\xbb\xbftext\r\none\r\n"))) == ["one"]


def test_control_characters_and_odd_line_separators_stay(write):
    text = "a\x00b\x0bc\x1cd\x85e\u2028f\n\ufeffg"
    assert texts(read(write("a.txt", text))) == [text]
    assert texts(from_records([text])) == [text]


def test_empty_and_duplicate_records_are_counted_and_left_out():
    blank = {"messages": [{"role": "user", "content": " "}]}
    records = ["one", "", " \r\n", {"text": None}, {"messages": []}, blank, "a\r\nb", "a\nb", "one"]
    corpus = from_records(records)
    assert texts(corpus) == ["one", "a\nb"]
    assert (corpus.records, corpus.empty, corpus.duplicates) == (9, 5, 2)


def test_a_text_and_a_conversation_of_the_same_words_are_not_duplicates():
    turn = {"role": "user", "content": "Hi"}
    corpus = from_records(["Hi", {"messages": [turn]}, {"messages": [{**turn, "role": "system"}]}])
    assert (len(corpus.documents), corpus.duplicates) == (3, 0)


def test_records_of_one_document_share_a_group_and_others_have_their_own(write):
    content = "text,document\none,book\ntwo,book\nthree,\nfour,\n"
    groups = [d.group for d in read(write("a.csv", content)).documents]
    assert groups[:2] == ["book", "book"]
    assert len(set(groups)) == 3


# Digest


def test_digest_is_of_content_and_not_of_path_or_time(write):
    first = write("a.txt", "one\n\ntwo\n")
    moved = write("elsewhere/b.txt", b"\xef\xbb\xbfone\r\n\r\n\r\ntwo")
    os.utime(moved, (0, 0))
    assert read(first).digest == read(moved).digest == from_records(["one", "two"]).digest


@pytest.mark.parametrize(
    "other",
    [
        ["one", "twO"],
        ["two", "one"],
        ["one"],
        ["one", {"text": "two", "document": "d"}],
        ["one", {"messages": [{"role": "user", "content": "two"}]}],
    ],
)
def test_digest_tells_corpora_apart(other):
    assert from_records(["one", "two"]).digest != from_records(other).digest


def test_a_corpus_is_read_and_sampled_without_heavy_imports():
    code = (
        "import sys\n"
        "from pytest_crossdiff.engine.corpus import documents as corpus, sampling\n"
        "read = corpus.read('builtin:pydoc')\n"
        "sampling.sample(read, tokens=5000, context=256, heldout=0.3, seed=0)\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & "
        "{'torch', 'transformers', 'numpy', 'tokenizers', 'jinja2', 'pyarrow'}))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
