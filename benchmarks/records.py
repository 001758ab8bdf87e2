"""What was measured, in files of JSON with one record a line: an interrupted run loses nothing, and
a record that was measured again is one line of a diff.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    Record = dict[str, Any]


class Records(dict[str, "Record"]):
    """Records by name, read from and appended to a file with one a line; the last one counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        super().__init__((r.pop("name"), r) for r in _read(path))

    def add(self, name: str, record: Record) -> None:
        """Keep and print a record."""
        self[name] = record
        with self._path.open("a", encoding="utf-8") as file:
            file.write(_line({"name": name, **record}))
        short = {k: v for k, v in record.items() if k not in ("differences", "seconds")}
        print(name, short, flush=True)


def named(records: Mapping[str, Record]) -> list[Record]:
    """The records of a mapping with their names in them, as they stand in a file."""
    return [{"name": name, **record} for name, record in records.items()]


def by_name(records: Iterable[Record]) -> dict[str, Record]:
    """The mapping of which `named` makes records."""
    return {record["name"]: {k: v for k, v in record.items() if k != "name"} for record in records}


def write_tables(path: Path, tables: Mapping[str, Iterable[Record]]) -> None:
    """Write several tables of records into one file; each line names its table first."""
    lines = (_line({"table": t, **record}) for t, records in tables.items() for record in records)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(lines), encoding="utf-8")


def read_tables(path: Path) -> dict[str, list[Record]]:
    """The tables of such a file; a table without records is not in it."""
    found: dict[str, list[Record]] = {}
    for record in _read(path):
        found.setdefault(record.pop("table"), []).append(record)
    return found


def _read(path: Path) -> list[Record]:
    # not splitlines, which also splits at characters that JSON leaves as they are
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.split("\n") if line]


def _line(record: Record) -> str:
    return json.dumps(record, ensure_ascii=False) + "\n"
