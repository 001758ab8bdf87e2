"""Finished entries of a cache at any place that fsspec reaches, such as a bucket, and back.

A place holds `KIND/KEY/PART` and, written last, `KIND/KEY/manifest.json`: what has no manifest is
not finished.  Parts are streamed, and a part counts only if its digest is the manifest's.
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.store.entry import MANIFEST
from pytest_crossdiff.store.files import checked_name
from pytest_crossdiff.store.manifest import DamagedEntry, Manifest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from pytest_crossdiff.store.cache import Store

_CHUNK = 1 << 20


class Carried(NamedTuple):
    """An entry that was carried.  size: bytes of its parts."""

    kind: str
    key: str
    size: int


def push(store: Store, url: str, kinds: Collection[str]) -> list[Carried]:
    """Copy the finished entries of these kinds to `url` that are not there yet.

    Raises `StoreError` where the place can't be written, and `DamagedEntry`.
    """
    carried = []
    with _place(url) as (place, root):
        for info in store.list():
            target = f"{root}/{info.kind}/{info.key}"
            if not info.complete or info.kind not in kinds or place.exists(f"{target}/{MANIFEST}"):
                continue
            entry = store.entry(info.kind, info.key)
            manifest = entry.read_manifest()
            assert manifest is not None, "it is complete"
            place.makedirs(target, exist_ok=True)
            size = 0
            for name in manifest.files:
                path = entry.verified_path(name)
                place.put_file(str(path), f"{target}/{name}")
                size += path.stat().st_size
            place.pipe_file(f"{target}/{MANIFEST}", manifest.to_bytes())
            carried.append(Carried(info.kind, info.key, size))
    return carried


def pull(store: Store, url: str, kinds: Collection[str]) -> list[Carried]:
    """Copy the finished entries of these kinds from `url` that the store lacks.

    Raises `StoreError` where the place can't be read, and `DamagedEntry` for a part that is not
    what was pushed: the entries before it are whole and stay.
    """
    carried = []
    with _place(url) as (place, root):
        for path in sorted(place.glob(f"{root}/*/*/{MANIFEST}")):
            kind, key = str(path).split("/")[-3:-1]
            if kind not in kinds:
                continue
            source = f"{root}/{kind}/{key}"
            entry = store.entry(checked_name(kind, "a kind"), checked_name(key, "a key"))
            with entry.lock():
                if entry.read_manifest() is not None:
                    continue
                data = place.cat_file(f"{source}/{MANIFEST}")
                manifest = Manifest.from_bytes(data, f"{url}/{kind}/{key}", f"{kind}/{key}")
                size = 0
                for name, sha256 in manifest.files.items():
                    with entry.writing(checked_name(name, "a part of an entry")) as temporary:
                        size += _fetch(place, f"{source}/{name}", temporary, sha256)
                entry.complete(manifest.meta)
            carried.append(Carried(kind, key, size))
    return carried


def _fetch(place: Any, source: str, target: Path, sha256: str) -> int:  # noqa: ANN401  of fsspec
    """Stream a part to `target`; its size."""
    found, size = hashlib.sha256(), 0
    with place.open(source, "rb") as part, target.open("wb") as out:
        while chunk := part.read(_CHUNK):
            found.update(chunk)
            size += out.write(chunk)
    if found.hexdigest() != sha256:
        raise DamagedEntry(
            f"{source} is not what was pushed ({size} bytes)", remedy="push it again"
        )
    return size


@contextlib.contextmanager
def _place(url: str) -> Iterator[tuple[Any, str]]:
    """The file system of a URL, and the path on it."""
    import fsspec

    try:
        place, root = fsspec.core.url_to_fs(url)
        yield place, root.rstrip("/")
    except (OSError, ValueError, ImportError) as error:
        raise StoreError(
            f"{url} can't be reached: {type(error).__name__}: {error}",
            source="the URL",
            remedy="check the URL, the rights, and that fsspec has its package (s3fs, gcsfs, ...)",
        ) from error
