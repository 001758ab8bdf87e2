"""Raw records out of files, each with the place it came from.  Stdlib only."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from pytest_crossdiff.engine.corpus.json_files import read_json, read_yaml
from pytest_crossdiff.engine.corpus.lines import Records, read_jsonl, read_txt
from pytest_crossdiff.engine.corpus.tables import read_csv, read_parquet
from pytest_crossdiff.errors import CorpusError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytest_crossdiff.engine.corpus.columns import Column

BUILTIN = "builtin:pydoc"


def from_source(source: str, chosen: tuple[Column, ...] = ()) -> Records:
    """The records of a built-in corpus, a file or a folder.  chosen: the columns that hold text.

    Raises `CorpusError`.
    """
    setting = f"crossdiff_corpus = {source}"
    try:
        if source.startswith("builtin:"):
            yield from _pydoc(source)
            return
        path = _expanded(source)
        if not source or not path.exists():
            _missing(path, source)
        if not path.is_dir() and not path.is_file():
            raise CorpusError(  # to open a pipe would wait for ever
                f"{path} is no file but a pipe or a device",
                source=setting,
                remedy="write the texts to a file",
            )
        if path.is_dir():
            yield from _folder(path, chosen)
        elif path.suffix.lower() in READERS:
            yield from _file(path, path.name, chosen)
        elif path.suffix.lower() in WHOLE_FILES:
            yield from WHOLE_FILES[path.suffix.lower()](path, path.name)
        else:
            raise CorpusError(
                f"{path.name} is of no kind that can be read",
                source=setting,
                remedy=f"give a {FILE_KINDS} file, or a folder of {KINDS} files",
            )
    except OSError as error:
        raise CorpusError(
            f"{error.filename or source} can't be read: {error.strerror or error}",
            source=setting,
            remedy="check that it is there and that you may read it",
        ) from error


def _expanded(source: str) -> Path:
    try:
        return Path(source).expanduser()
    except RuntimeError as error:  # no such user
        raise CorpusError(
            f"{source} can't be a path: {error}",
            source=f"crossdiff_corpus = {source}",
            remedy="write the folder out",
        ) from error


def _missing(path: Path, source: str) -> NoReturn:
    remedy = f"give a {FILE_KINDS} file, a folder of {KINDS} files, or {BUILTIN}"
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, siblings, 1)
    if near:
        remedy = f"did you mean {Path(source).with_name(near[0])}?"
    raise CorpusError(
        f"there is no corpus {source!r}", source=f"crossdiff_corpus = {source}", remedy=remedy
    )


def _folder(folder: Path, chosen: tuple[Column, ...]) -> Records:
    found = sorted(_files(folder))
    readable = [name for name in found if Path(name).suffix.lower() in READERS]
    if not readable:
        listed = ", ".join(found[:10]) + (f" and {len(found) - 10} more" if len(found) > 10 else "")
        raise CorpusError(
            f"the folder {folder.name} holds no {KINDS} file, but {listed or 'nothing'}",
            source=f"crossdiff_corpus = {folder}",
            remedy=f"put {KINDS} files there, or name one file",
        )
    for name in readable:
        yield from _file(folder / name, name, chosen)


def _file(path: Path, name: str, chosen: tuple[Column, ...]) -> Records:
    kind = path.suffix.lower()
    return LINES[kind](path, name) if kind in LINES else TABLES[kind](path, name, chosen)


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


TABLES: dict[str, Callable[[Path, str, tuple[Column, ...]], Records]] = {
    ".csv": read_csv,
    ".parquet": read_parquet,
}
LINES: dict[str, Callable[[Path, str], Records]] = {".txt": read_txt, ".jsonl": read_jsonl}
READERS = (*LINES, *TABLES)
WHOLE_FILES: dict[str, Callable[[Path, str], Records]] = {
    ".json": read_json,
    ".yaml": read_yaml,
    ".yml": read_yaml,
}
"""Kinds that are read where the corpus is such a file.  In folders they are mostly configuration
and statistics, so there they are left alone.
"""


def _listed(kinds: list[str]) -> str:
    return ", ".join(kinds[:-1]) + " or " + kinds[-1]


KINDS, FILE_KINDS = _listed([*READERS]), _listed([*READERS, ".json", ".yaml"])
