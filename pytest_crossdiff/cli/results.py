"""Which result a command is about: by key, by folder, or by the settings."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.cli.configuration import read
from pytest_crossdiff.errors import InsufficientData, SettingsError, StoreError
from pytest_crossdiff.result import Result
from pytest_crossdiff.store.cache import DamagedEntry, Manifest, Store

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_crossdiff.options import Settings

RESULT, MANIFEST = "result.json", "manifest.json"
_SHORTEST = 4


class Found(NamedTuple):
    """A result, its folder, and pytest's root folder, by which paths are shortened."""

    result: Result
    folder: Path
    root: Path
    store: Store


def store_of(settings: Settings) -> Store:
    """The cache that the settings name."""
    return Store(Path(settings.cache_dir) if settings.cache_dir else Store.default_root())


def find(named: str, flags: Mapping[str, str]) -> Found:
    """The result `named`; "" is that of the settings.

    Raises `InsufficientData` where there is none, `SettingsError` for a key that several have,
    `StoreError` for one that can't be read.
    """
    path = Path(named).expanduser()
    if named and path.exists():
        folder = path if path.is_dir() else path.parent
        file = path if path.is_file() else path / RESULT
        return Found(_read(file), folder, Path.cwd(), _store_around(folder))
    settings, root, _ = read(flags)
    store = store_of(settings)
    if not named:
        return _of_settings(settings, root, store)
    keys = _keys(named, store)
    folder = store.entry("result", keys[0]).path
    return Found(_read(folder / RESULT), folder, root, store)


def _of_settings(settings: Settings, root: Path, store: Store) -> Found:
    from pytest_crossdiff.engine import pipeline

    found = pipeline.cached(settings)
    if found is None:
        raise InsufficientData(
            "these settings have not been measured",
            source=f"cache {store.root}",
            remedy="run `crossdiff train`, or name a result of `crossdiff cache list`",
        )
    return Found(found.result, found.entry, root, store)


def _keys(named: str, store: Store) -> list[str]:
    if len(named) < _SHORTEST:
        raise SettingsError(
            f"{named!r} is neither a folder nor a key: {_SHORTEST} letters of one are needed"
        )
    complete = [info.key for info in store.list() if info.kind == "result" and info.complete]
    keys = [key for key in complete if key.startswith(named.lower())]
    if len(keys) > 1:
        shown = ", ".join(key[: len(named) + 8] for key in keys)
        raise SettingsError(f"several results begin with {named!r}: {shown}")
    if not keys:
        raise InsufficientData(
            f"there is no result {named!r} among the {len(complete)} of the cache, and no such "
            "folder",
            source=f"cache {store.root}",
            remedy="`crossdiff cache list --kind result` shows what there is",
        )
    return keys


def _read(file: Path) -> Result:
    """A stored result, held against its digest where that is beside it."""
    try:
        data = file.read_bytes()
        manifest = file.with_name(MANIFEST)
        if manifest.exists():
            known = Manifest.from_bytes(manifest.read_bytes(), str(manifest)).files
            if known.get(file.name) not in (None, hashlib.sha256(data).hexdigest()):
                raise DamagedEntry(f"{file} is not what was written ({len(data)} bytes)")
        return Result.from_json(data.decode())
    except OSError as error:
        raise StoreError(f"can't read {file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{file} is no stored result: {error}") from error


def _store_around(folder: Path) -> Store:
    """The cache that `folder` is an entry of, else the user's."""
    root = folder.absolute().parents[2] if len(folder.absolute().parts) > 3 else folder
    return Store(root if (root / "CACHEDIR.TAG").exists() else Store.default_root())
