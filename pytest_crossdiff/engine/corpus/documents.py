"""The texts that both models read: one plain form for whatever file they came from.

Stdlib only, like `records.py` and `sampling.py`: a cached run learns the digest of its sample
without importing anything heavy.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, SupportsIndex

from pytest_crossdiff.engine.corpus.columns import columns
from pytest_crossdiff.engine.corpus.formats import RECORD_FORM, plain_record
from pytest_crossdiff.engine.corpus.messages import (
    Message,
    UnusableRecordError,
    normalised,
    read_message,
    read_tools,
    unread_keys,
)
from pytest_crossdiff.engine.corpus.records import from_source
from pytest_crossdiff.errors import CorpusError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_crossdiff.engine.corpus.columns import Column
    from pytest_crossdiff.engine.corpus.lines import Record


@dataclass(frozen=True)
class Document:
    """One record of the corpus: either a `text` or `messages`.

    id: what a person calls it, for messages and reports.  group: documents with the same group are
    parts of one and stay on one side of the train/held-out split.  source: file and line.
    part: of the corpus, as the record says, else the file it came from.  tools: the tools that the
    conversation offers, as JSON; "" for none.
    """

    id: str
    group: str
    source: str
    text: str | None
    messages: tuple[Message, ...]
    part: str = ""
    tools: str = ""


@dataclass(frozen=True)
class Corpus:
    """All documents of a source, and what was left out: empty records and exact duplicates.

    digest: SHA-256 of the documents' groups and contents in order, whatever their file is called.
    unread: keys of messages that no chat template is given, and in how many messages they stand.
    """

    source: str
    documents: tuple[Document, ...]
    records: int
    empty: int
    duplicates: int
    digest: str
    unread: tuple[tuple[str, int], ...] = ()

    def remarks(self) -> list[str]:
        """What a person should know of how the records were read."""
        if not self.unread:
            return []
        keys = ", ".join(
            f"{key!r} ({count:,} message{'s' * (count > 1)})" for key, count in self.unread[:8]
        )
        more = f" and {len(self.unread) - 8} more" if len(self.unread) > 8 else ""
        return [f"keys of messages that are left out, as no chat template reads them: {keys}{more}"]


def read(source: str, column: str = "") -> Corpus:
    """Read `builtin:pydoc`, a file of a kind that `records` knows, or a folder of such files.

    column: the keys that hold the text, as `crossdiff_corpus_column` names them.
    Raises `CorpusError` naming file and line when anything in it can't be read as text.
    """
    chosen = columns(column)
    return _collect(from_source(source, chosen), source, f"crossdiff_corpus = {source}", chosen)


def from_records(
    records: Iterable[Record], source: str = "crossdiff_corpus fixture", column: str = ""
) -> Corpus:
    """The corpus of texts, or of mappings with the keys of a .jsonl file, made in Python."""
    if isinstance(records, (str, Mapping)):
        raise CorpusError(
            f"the corpus is {_kind(records)}, not a list",
            source=source,
            remedy="give a list of texts or of mappings",
        )
    numbered = ((f"record {n}", record) for n, record in enumerate(records, 1))
    return _collect(numbered, source, source, columns(column))


def canonical(text: str | None, messages: Iterable[Message], tools: str = "") -> bytes:
    """Bytes that differ whenever the contents do."""
    turns = [[m.role, m.content, *([m.extra] if m.extra else [])] for m in messages]
    content = [text, turns, *([tools] if tools else [])]
    return json.dumps(content, ensure_ascii=False).encode()


def _collect(
    records: Iterable[tuple[str, Record]], source: str, setting: str, chosen: tuple[Column, ...]
) -> Corpus:
    documents: list[Document] = []
    unread: Counter[str] = Counter()
    seen: set[bytes] = set()
    count = empty = 0
    digest = hashlib.sha256()
    for where, record in records:
        count += 1
        try:
            plain = _plain(record, chosen)
            document, key = _document(plain, where)
        except UnusableRecordError as error:
            raise CorpusError(
                f"{where} has {error.what}", source=setting, remedy=error.remedy
            ) from None
        except RecursionError:
            raise CorpusError(
                f"{where} is nested too deeply",
                source=setting,
                remedy="write tools and calls in fewer levels",
            ) from None
        unread.update(_unread(plain))
        if not _has_content(document):
            empty += 1
        elif key not in seen:
            seen.add(key)
            documents.append(document)
            digest.update(hashlib.sha256(document.group.encode()).digest() + key)
    if not documents:
        raise CorpusError(
            f"the corpus is empty: {count} records, {empty} of them without text",
            source=setting,
            remedy="give a corpus with text in it",
        )
    duplicates = count - empty - len(documents)
    found = tuple(sorted(unread.items(), key=lambda item: (-item[1], item[0])))
    return Corpus(source, tuple(documents), count, empty, duplicates, digest.hexdigest(), found)


def _has_content(document: Document) -> bool:
    if document.text is not None:
        return bool(document.text.strip())
    return any(m.text.strip() for m in document.messages)


def _plain(record: Record, chosen: tuple[Column, ...]) -> Mapping[str, object]:
    """The record as a mapping with `text` or `messages`.  Raises `UnusableRecordError`."""
    if isinstance(record, str):
        return {"text": record}
    if not isinstance(record, Mapping):
        raise UnusableRecordError(f"{_kind(record)}, not a text or a mapping", RECORD_FORM)
    return plain_record(record, chosen)


def _unread(record: Mapping[str, object]) -> Iterator[str]:
    messages = record.get("messages")
    for turn in messages if isinstance(messages, (list, tuple)) else ():
        yield from unread_keys(turn)


def _document(record: Mapping[str, object], where: str) -> tuple[Document, bytes]:
    """The document of `record`, and the digest of its content.  Raises `UnusableRecordError`."""
    given = [key for key in ("text", "messages") if record.get(key) is not None]
    if len(given) > 1:
        raise UnusableRecordError("both 'text' and 'messages'", "keep one of them in each record")
    messages: tuple[Message, ...] = ()
    text: str | None = None
    tools = ""
    if given == ["messages"]:
        messages = _messages(record["messages"])
        tools = read_tools(record.get("tools"))
    else:
        text = normalised("" if not given else record["text"], "'text'")
    name = _label(record.get("id"), "'id'") or where
    group = _label(record.get("document"), "'document'")
    part = _label(record.get("slice"), "'slice'") or where.rpartition(":")[0]
    try:
        key = hashlib.sha256(canonical(text, messages, tools)).digest()
        (name + group + part).encode()
    except UnicodeEncodeError as error:
        raise UnusableRecordError(
            f"half a surrogate pair, U+{ord(error.object[error.start]):04X}: no character",
            "write the whole character, or leave the record out",
        ) from None
    # By default a group of its own, named by content: renaming a file changes no group.
    return Document(name, group or key.hex(), where, text, messages, part, tools), key


def _messages(value: object) -> tuple[Message, ...]:
    if not isinstance(value, (list, tuple)):
        raise UnusableRecordError(f"'messages' that is {_kind(value)}, not a list", RECORD_FORM)
    return tuple(read_message(turn, i, RECORD_FORM) for i, turn in enumerate(value, 1))


def _label(value: object, what: str) -> str:
    """An identifier, given as text or a whole number; "" when there is none."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, SupportsIndex):
        return str(value.__index__())
    raise UnusableRecordError(f"{what} that is {_kind(value)}", "write a string or a whole number")


def _kind(value: object) -> str:
    return f"a {type(value).__name__}"
