"""Records out of files of lines: paragraphs of a text, and objects of JSON Lines.  Stdlib only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import CorpusError

if TYPE_CHECKING:
    from pathlib import Path

Record = str | Mapping[str, object]
"""A text, or a mapping with `text` or `messages`, optionally with `tools` to the latter, and with
`id`, `document` and `slice`; or a mapping of another form that `formats` knows.
"""
Records = Iterator[tuple[str, Record]]
"""Records, each after the place it stands at: `file:line`."""


def numbered_lines(path: Path, name: str) -> Iterator[tuple[int, str]]:
    """Lines without their ends, whichever of LF, CRLF and CR ends them, numbered from 1."""
    offset, number = 0, 0
    with path.open("rb") as file:
        for raw in file:
            try:
                text = raw.decode()
            except UnicodeDecodeError as error:
                utf16 = offset == 0 and raw[:2] in (b"\xff\xfe", b"\xfe\xff")
                raise CorpusError(
                    f"{name}:{number + 1}: byte {raw[error.start]:#04x} at offset "
                    f"{offset + error.start} is not UTF-8",
                    source=f"crossdiff_corpus: {path}",
                    remedy=("it looks like UTF-16: " if utf16 else "") + "save the file as UTF-8",
                ) from error
            if offset == 0:
                text = text.removeprefix("\ufeff")
            offset += len(raw)
            text = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")
            for line in text.split("\n"):
                number += 1
                yield number, line


def whole_text(path: Path, name: str) -> str:
    """All lines, joined by LF.  Raises `CorpusError` where the file is not UTF-8."""
    return "\n".join(line for _, line in numbered_lines(path, name))


def read_txt(path: Path, name: str) -> Records:
    """Paragraphs: runs of lines between blank ones."""
    paragraph: list[str] = []
    began = 1
    for number, line in numbered_lines(path, name):
        if line.strip():
            if not paragraph:
                began = number
            paragraph.append(line)
        elif paragraph:
            yield f"{name}:{began}", "\n".join(paragraph)
            paragraph = []
    if paragraph:
        yield f"{name}:{began}", "\n".join(paragraph)


def read_jsonl(path: Path, name: str) -> Records:
    """An object or a string a line."""
    for number, line in numbered_lines(path, name):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CorpusError(
                f"{where}: malformed JSON: {error}",
                source=f"crossdiff_corpus: {path}",
                remedy="write one JSON object a line",
            ) from error
        if not isinstance(record, (str, dict)):
            raise CorpusError(
                f"{where}: a {type(record).__name__} instead of an object",
                source=f"crossdiff_corpus: {path}",
                remedy='write one object a line: {"text": ...} or {"messages": [...]}',
            )
        yield where, record
