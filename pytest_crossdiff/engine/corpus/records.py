"""Raw records out of files, each with the place it came from.  Stdlib only."""

from __future__ import annotations

import contextlib
import csv
import difflib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from pytest_crossdiff.errors import CorpusError

Record = str | Mapping[str, object]
"""A text, or a mapping with `text` or `messages`, optionally with `tools` to the latter, and with
`id`, `document` and `slice`.
"""

EXTRA = ("id", "document", "slice")

Records = Iterator[tuple[str, Record]]
"""Records, each after the place it stands at: `file:line`."""

BUILTIN = "builtin:pydoc"


def from_source(source: str) -> Records:
    """The records of a built-in corpus, a file or a folder.  Raises `CorpusError`."""
    setting = f"crossdiff_corpus = {source}"
    try:
        if source.startswith("builtin:"):
            yield from _pydoc(source)
            return
        path = Path(source).expanduser()
        if not source or not path.exists():
            _missing(path, source)
        if path.is_dir():
            yield from _folder(path)
        elif path.suffix.lower() in READERS:
            yield from READERS[path.suffix.lower()](path, path.name)
        else:
            raise CorpusError(
                f"{path.name} is of no kind that can be read",
                source=setting,
                remedy=f"give a {KINDS} file, or a folder of them",
            )
    except OSError as error:
        raise CorpusError(
            f"{error.filename or source} can't be read: {error.strerror or error}",
            source=setting,
            remedy="check that it is there and that you may read it",
        ) from error


def _missing(path: Path, source: str) -> NoReturn:
    remedy = f"give a {KINDS} file, a folder of them, or {BUILTIN}"
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, 1)
    if near:
        remedy = f"did you mean {Path(source).with_name(near[0])}?"
    raise CorpusError(
        f"there is no corpus {source!r}", source=f"crossdiff_corpus = {source}", remedy=remedy
    )


def _folder(folder: Path) -> Records:
    found = sorted(_files(folder))
    readable = [name for name in found if Path(name).suffix.lower() in READERS]
    if not readable:
        listed = ", ".join(found[:10]) + (f" and {len(found) - 10} more" if len(found) > 10 else "")
        raise CorpusError(
            f"the folder {folder.name} holds no {KINDS} file, but {listed or 'nothing'}",
            source=f"crossdiff_corpus = {folder}",
            remedy=f"put {KINDS} files there",
        )
    for name in readable:
        yield from READERS[Path(name).suffix.lower()](folder / name, name)


def _files(folder: Path) -> Iterator[str]:
    """Paths below `folder`, relative, with `/`; nothing hidden; linked folders once."""

    def fail(error: OSError) -> NoReturn:  # os.walk would pass over it in silence
        raise error

    visited = set()
    for root, folders, names in os.walk(folder, onerror=fail, followlinks=True):
        real = os.path.realpath(root)
        if real in visited:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            path = Path(root, name)
            if not name.startswith(".") and path.is_file():
                yield path.relative_to(folder).as_posix()


def _lines(path: Path, name: str) -> Iterator[tuple[int, str]]:
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


def _txt(path: Path, name: str) -> Records:
    """Paragraphs: runs of lines between blank ones."""
    paragraph: list[str] = []
    began = 1
    for number, line in _lines(path, name):
        if line.strip():
            if not paragraph:
                began = number
            paragraph.append(line)
        elif paragraph:
            yield f"{name}:{began}", "\n".join(paragraph)
            paragraph = []
    if paragraph:
        yield f"{name}:{began}", "\n".join(paragraph)


def _jsonl(path: Path, name: str) -> Records:
    for number, line in _lines(path, name):
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


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    """The csv module takes no field beyond 128 KiB unless told, for the whole process."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _csv(path: Path, name: str) -> Records:
    table = csv.DictReader((f"{line}\n" for _, line in _lines(path, name)), strict=True)
    columns, where = None, f"{name}:1"
    while True:
        try:
            with _long_fields():
                columns = columns or table.fieldnames
                where = f"{name}:{table.line_num + 1}"
                row = next(table, None)
        except csv.Error as error:
            _bad_row(path, f"{where}: malformed CSV: {error}")
        if columns and "text" not in columns:
            _no_text(
                path,
                name,
                "name the column of texts 'text', and separate columns by commas",
                columns,
            )
        if row is None:
            return
        if None in row or None in row.values():
            more = "more" if None in row else "fewer"
            _bad_row(path, f"{where}: {more} fields than the header has")
        yield where, {key: row[key] or None for key in ("text", *EXTRA) if key in row}


def _no_text(path: Path, name: str, remedy: str, columns: Iterable[str]) -> NoReturn:
    raise CorpusError(
        f"{name} has no column of texts, but {', '.join(map(repr, columns))}",
        source=f"crossdiff_corpus: {path}",
        remedy=remedy,
    )


def _bad_row(path: Path, what: str) -> NoReturn:
    raise CorpusError(
        what,
        source=f"crossdiff_corpus: {path}",
        remedy='put texts with commas, quotes or line breaks in "quotes", doubling quotes inside',
    )


def _parquet(path: Path, name: str) -> Records:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise CorpusError(
            f"{name}: a parquet file needs the package pyarrow",
            source=f"crossdiff_corpus: {path}",
            remedy="pip install 'pytest-crossdiff[parquet]'",
        ) from None
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            known = ("text", "messages", "tools", *EXTRA)
            columns = [column for column in file.schema_arrow.names if column in known]
            if not {"text", "messages"} & set(columns):
                _no_text(path, name, "name it 'text' or 'messages'", file.schema_arrow.names)
            for batch in file.iter_batches(columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{name}:{number}", _without_nulls(row)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise CorpusError(
            f"{name} is damaged or no parquet file, after {number} rows: {error}",
            source=f"crossdiff_corpus: {path}",
            remedy="write it again",
        ) from error


_MAY_BE_NULL = "text", "messages", "content"


def _without_nulls(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    """A row without the nulls that parquet writes where other rows have a key."""
    if isinstance(value, dict):
        kept = ((k, v) for k, v in value.items() if v is not None or k in _MAY_BE_NULL)
        return {k: _without_nulls(v) for k, v in kept}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _pydoc(source: str) -> Records:
    """The topics of CPython's own documentation, longest first.

    Some topics are extracts of others; one that mostly repeats longer ones is passed over, lest the
    same paragraph stand on both sides of the train/held-out split.
    """
    if source != BUILTIN:
        raise CorpusError(
            f"there is no built-in corpus {source!r}",
            source=f"crossdiff_corpus = {source}",
            remedy=f"the only one is {BUILTIN}",
        )
    try:
        from pydoc_data.topics import topics  # half a megabyte
    except ImportError:
        raise CorpusError(
            "this Python was installed without pydoc_data, the built-in corpus",
            source=f"crossdiff_corpus = {source}",
            remedy="set crossdiff_corpus to texts of your own",
        ) from None
    seen: set[str] = set()
    for name, text in sorted(topics.items(), key=lambda item: (-len(item[1]), item[0])):
        paragraphs = {p.strip() for p in text.split("\n\n") if len(p) > 40}
        known = sum(len(p) for p in paragraphs & seen)
        if known <= sum(map(len, paragraphs)) / 2:
            seen |= paragraphs
            yield f"pydoc:{name}", text


READERS: dict[str, Callable[[Path, str], Records]] = {
    ".txt": _txt,
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
KINDS = ", ".join(list(READERS)[:-1]) + " or " + list(READERS)[-1]
