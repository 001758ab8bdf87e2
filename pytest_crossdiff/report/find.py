"""The report that a word of the command line means."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.report.document import FORMAT, Report
from pytest_crossdiff.result import Result
from pytest_crossdiff.store.files import explained

if TYPE_CHECKING:
    from pytest_crossdiff.store.cache import Store

RESULT = "result.json"
_REPORT = re.compile(rf'"format"\s*:\s*"{FORMAT}"')
"""Can't come from a text inside, where the quotes are escaped."""


def find(run: str, store: Store) -> Report:
    """The report of `run`: a `report.json`, a stored `result.json`, the folder of one, or the
    beginning of the key that a result has in `store`.

    A stored result brings no verdicts and no provenance of settings.  Raises `StoreError` when
    there is none, or several.
    """
    path = Path(run).expanduser()
    if path.is_dir():
        path = path / RESULT
    if path.is_file():
        return _read(path)
    found = (
        sorted(
            info.path
            for info in store.list()
            if info.complete and info.kind == "result" and info.key.startswith(run)
        )
        if run.isalnum()
        else []
    )
    if len(found) == 1:
        return _read(found[0] / RESULT)
    what = "several results" if found else "no result"
    some = ", ".join(path.name[:12] for path in found[:8])
    raise StoreError(
        f"{what} {run!r}" + (f": {some}" if found else f"; the cache is {store.root}"),
        remedy="give a report.json, the folder of a result, or the beginning of its key",
    )


def _read(path: Path) -> Report:
    with explained(path, "read"):
        text = path.read_text("utf-8")
    try:
        if _REPORT.search(text):
            return Report.from_json(text)
        return Report.of(Result.from_json(text))
    except StoreError as error:
        raise StoreError(f"{path}: {error.what}", remedy=error.remedy) from error
