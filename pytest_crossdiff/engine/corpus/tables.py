"""Records out of tables: rows of CSV and of Parquet."""

from __future__ import annotations

import contextlib
import csv
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_crossdiff.engine.corpus.columns import suggestion
from pytest_crossdiff.engine.corpus.formats import readable
from pytest_crossdiff.engine.corpus.lines import numbered_lines
from pytest_crossdiff.engine.corpus.promptfoo import RESULTS
from pytest_crossdiff.errors import CorpusError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pytest_crossdiff.engine.corpus.columns import Column
    from pytest_crossdiff.engine.corpus.lines import Records

EXTRA = ("id", "document", "slice")
PROMPTFOO = {"Status", "Score", "Named Scores", "Grader Reason"}
"""Columns that promptfoo (0.123.1) writes after each prompt's outputs: its table of results has the
variables and outputs, but no prompt as it was sent.
"""


@contextlib.contextmanager
def _long_fields() -> Iterator[None]:
    """The csv module takes no field beyond 128 KiB unless told, for the whole process."""
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def read_csv(path: Path, name: str, chosen: tuple[Column, ...] = ()) -> Records:
    """Rows; of a table with a column `text` that column and those of `EXTRA` alone."""
    table = csv.DictReader((f"{line}\n" for _, line in numbered_lines(path, name)), strict=True)
    columns, where = None, f"{name}:1"
    while True:
        try:
            with _long_fields():
                columns = columns or table.fieldnames
                where = f"{name}:{table.line_num + 1}"
                row = next(table, None)
        except csv.Error as error:
            _bad_row(path, f"{where}: malformed CSV: {error}")
        if columns and not chosen and {*columns} >= PROMPTFOO:
            raise CorpusError(
                f"{name} is a table of promptfoo's results: the prompts as they were sent are not "
                "in it",
                source=f"crossdiff_corpus: {path}",
                remedy=RESULTS,
            )
        if columns and not _has_text({*columns}, chosen):
            _no_text(
                path, name, "name the column of texts 'text', separate columns by commas", columns
            )
        if row is None:
            return
        if None in row or None in row.values():
            more = "more" if None in row else "fewer"
            _bad_row(path, f"{where}: {more} fields than the header has")
        kept = ("text", *EXTRA) if "text" in row and not chosen else row
        yield where, {key: row[key] or None for key in kept if key in row}


def _has_text(columns: set[str], chosen: tuple[Column, ...]) -> bool:
    """Whether rows of these columns can be read.  What is wrong with chosen columns each row says
    better.
    """
    return bool(chosen) or readable(columns)


def _no_text(path: Path, name: str, remedy: str, columns: Iterable[str]) -> NoReturn:
    """Raise what to do about a table whose columns say nothing."""
    names = [column for column in columns if not column.startswith("__")]
    if names != [*columns]:
        remedy = "variables of promptfoo: give its configuration or its results, or " + remedy
    column = suggestion(dict.fromkeys(names, ""))
    hint = f"set crossdiff_corpus_column = {column or '<its name>'}, or " if names else ""
    raise CorpusError(
        f"{name} has no column of texts, but {', '.join(map(repr, columns))}",
        source=f"crossdiff_corpus: {path}",
        remedy=hint + remedy,
    )


def _bad_row(path: Path, what: str) -> NoReturn:
    raise CorpusError(
        what,
        source=f"crossdiff_corpus: {path}",
        remedy='put texts with commas, quotes or line breaks in "quotes", doubling quotes inside',
    )


def read_parquet(path: Path, name: str, chosen: tuple[Column, ...] = ()) -> Records:
    """Rows, of the columns that hold texts and those of `EXTRA` and tools."""
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
            given = file.schema_arrow.names
            if not _has_text({*given}, chosen):
                _no_text(path, name, "name it 'text' or 'messages'", given)
            columns = _columns(given, chosen)
            for batch in file.iter_batches(columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{name}:{number}", _without_nulls(row)
    except (pyarrow.ArrowException, ValueError, OverflowError) as error:
        raise CorpusError(
            f"{name} is damaged or no parquet file, after {number} rows: {error}",
            source=f"crossdiff_corpus: {path}",
            remedy="write it again",
        ) from error


def _columns(given: list[str], chosen: tuple[Column, ...]) -> list[str]:
    """Those to read: all only where other ones are needed to recognise, or to refuse, a record."""
    texts = {column.name.partition(".")[0] for column in chosen} or {"text", "messages"} & {*given}
    if not texts or not texts <= {*given}:
        return given
    return [column for column in given if column in {*texts, "tools", *EXTRA}]


_MAY_BE_NULL = "text", "messages", "content"


def _without_nulls(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    """A row without the nulls that parquet writes where other rows have a key."""
    if isinstance(value, dict):
        kept = ((k, v) for k, v in value.items() if v is not None or k in _MAY_BE_NULL)
        return {k: _without_nulls(v) for k, v in kept}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value
