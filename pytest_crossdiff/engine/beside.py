"""What stands beside the verdict on differences, kept in the cache: computed at most once, and
never what fails a run.

Imported at every cached run, so it imports neither torch nor numpy itself.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from pytest_crossdiff.errors import CrossDiffError, StoreError
from pytest_crossdiff.results.result import build
from pytest_crossdiff.store.cache import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.store.cache import Entry

T = TypeVar("T")


def stored(entry: Entry, kind: type[T], name: str, why_none: str) -> tuple[T | None, str] | None:
    """The `kind` that is kept under `name`, or the reason why there is none, kept as `why_none` in
    the manifest; None where the entry holds nothing that is whole.

    What can't be read, or is damaged in a cache that can't be written, keeps the entry from being
    made again: then that is the reason.
    """
    try:
        return _read(entry, kind, name, why_none)
    except StoreError as error:
        return None, _in_a_line(error)


def _read(entry: Entry, kind: type[T], name: str, why_none: str) -> tuple[T | None, str] | None:
    """The same.  Raises `StoreError`."""
    try:
        manifest = entry.read_manifest()
        if manifest is None:
            return None
        if why_none in manifest.meta:
            return None, manifest.meta[why_none]
        return build(kind, json.loads(entry.read_bytes(name))), ""
    except DamagedEntry as damage:
        entry.set_aside(damage.what)
        return None


def computed(
    entry: Entry,
    known: Callable[[], T | None],
    compute: Callable[[], None],
    failed: Callable[[str], T],
    progress: Progress,
) -> T:
    """What is `known` once `compute` has filled the entry; else what `failed` makes of the words
    that say what kept it from that.

    What fails here fails no run: a budget on it reports that it is missing.
    """
    from pytest_crossdiff.engine.isolation import undisturbed

    try:
        with entry.lock(progress.note), undisturbed():
            if known() is None:  # another process may have been faster
                compute()
        found = known()
        assert found is not None, "read when it is complete"
    except StoreError as error:
        return failed(_in_a_line(error))
    except Exception as error:  # noqa: BLE001  the comparison of activations raises it again
        what = error.what if isinstance(error, CrossDiffError) else repr(error)
        return failed(what.partition("\n")[0])
    return found


def _in_a_line(error: StoreError) -> str:
    """What happened and what to do: no other error comes of the same cause, which would say it."""
    return f"{error.what}; to do: {error.remedy}" if error.remedy else error.what
