"""The report in a file, or of a result that the cache has."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.report.document import FORMAT, Report
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.store.files import translate_os_errors

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.store.cache import Store

RESULT = "result.json"
_REPORT = re.compile(rf'"format"\s*:\s*"{FORMAT}"')
"""Can't come from a text inside, where the quotes are escaped."""


def read(path: Path) -> Report:
    """The report in a `report.json`, or of a stored `result.json`, which brings no verdicts and no
    provenance of settings.  Raises `StoreError`.
    """
    with translate_os_errors(path, "read", setting=""):
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError as error:
            raise StoreError(
                f"{path} is no report: it is not UTF-8 (byte {error.start})",
                remedy="name a report.json",
            ) from error
        return _report(text, path)


def read_by_key(beginning: str, store: Store) -> Report:
    """The report of the result in `store` whose key begins so.

    Raises `StoreError` when there is none, or several, or it is damaged.
    """
    found = [
        info.key
        for info in store.list()
        if info.kind == "result"
        and info.complete
        and beginning
        and info.key.startswith(beginning.lower())
    ]
    if len(found) != 1:
        some = ", ".join(key[:12] for key in found[:8])
        raise StoreError(
            f"several results {beginning!r}: {some}"
            if found
            else f"no result {beginning!r}; the cache is {store.root}",
            remedy="give a report.json, the folder of a result, or the beginning of its key",
        )
    entry = store.entry("result", found[0])
    return _report(entry.read_bytes(RESULT).decode(), entry.path / RESULT)


def _report(text: str, where: Path) -> Report:
    try:
        if _REPORT.search(text):
            return Report.from_json(text)
        return Report.of(Result.from_json(text))
    except StoreError as error:
        raise StoreError(f"{where}: {error.what}", remedy=error.remedy) from error
