"""The cache: content-addressed entries under one folder, `<kind>/<first two of the key>/<key>`."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.store.entry import MANIFEST, Entry, FileState
from pytest_crossdiff.store.files import (
    checked_name,
    move_aside,
    remove,
    translate_os_errors,
)
from pytest_crossdiff.store.lock import KeyLock
from pytest_crossdiff.store.manifest import DamagedEntry, Manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["DamagedEntry", "Entry", "EntryInfo", "Manifest", "Store", "Usage"]

_LOCKS = "locks"
_DIGESTS = "digests"
_TAG = "CACHEDIR.TAG"
_MARKS = {
    _TAG: b"Signature: 8a477f597d28d172789f06886806bc55\n# A cache (https://bford.info/cachedir/)\n",
    ".gitignore": b"*\n",
}
"""What tells backups and version control to leave a cache out."""


@dataclass(frozen=True)
class EntryInfo:
    """One folder of the cache.

    size: bytes.  mtime: when it last changed, used: when its manifest was last read, as far as the
    file system says; both in seconds since 1970.  key: as written; a folder that was set aside
    has the state `"damaged"`, one without a manifest is `"unfinished"`.
    """

    kind: str
    key: str
    path: Path
    size: int
    mtime: float
    used: float
    state: str

    @property
    def complete(self) -> bool:
        """Whether it has its manifest, and so all of its parts."""
        return self.state == "complete"


@dataclass(frozen=True)
class Usage:
    """How much there is, or was."""

    entries: int
    size: int


class Store:
    """The cache under `root`, where nothing is created before something is written.

    note: told in words when something damaged was found.
    """

    def __init__(self, root: Path, note: Callable[[str], None] | None = None) -> None:
        try:
            self.root = root.expanduser().absolute()
        except RuntimeError as error:  # no such user
            raise StoreError(
                f"{root} can't be the folder of the cache: {error}",
                remedy="write the folder out in crossdiff_cache_dir",
            ) from error
        self.note = note or SilentProgress().note
        self._locks: dict[Path, KeyLock] = {}
        self._verified: dict[Path, tuple[FileState, str]] = {}

    @classmethod
    def at(cls, folder: str, note: Callable[[str], None] | None = None) -> Store:
        """The cache in `folder`, "" for the user's."""
        return cls(Path(folder) if folder else cls.default_root(), note)

    @staticmethod
    def default_root() -> Path:
        """The user's cache folder for this program, by the conventions of the platform."""
        xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
        if xdg.is_absolute():  # a relative one is void, by its standard
            base = xdg
        elif sys.platform == "win32" and (local := os.environ.get("LOCALAPPDATA")):
            base = Path(local)
        else:
            try:
                home = Path.home()
            except RuntimeError as error:
                raise StoreError(
                    f"there is no folder for the cache: {error}",
                    remedy="set crossdiff_cache_dir",
                ) from error
            base = home / ("Library/Caches" if sys.platform == "darwin" else ".cache")
        return base / "pytest-crossdiff"

    @property
    def memo(self) -> Path:
        """The folder for `file_digest` to remember digests in."""
        return self.root / _DIGESTS

    def entry(self, kind: str, key: str) -> Entry:
        """The entry of `key`, a digest, among those of one kind; it need not exist.

        Raises `StoreError` for names that aren't plain.
        """
        if kind in (_LOCKS, _DIGESTS):
            raise StoreError(f"{kind!r} is the store's own folder, not a kind of entry")
        checked_name(kind, "a kind of entry")
        if checked_name(key, "an entry") != key.partition(".")[0] or len(key) < 3:
            raise StoreError(f"{key!r} is no key: three or more letters and digits, no '.'")
        path = self.root / kind / key[:2] / key
        return Entry(path, self._lock(kind, key), self._verified, self.note)

    def _lock(self, kind: str, key: str) -> KeyLock:
        path = self._lock_path(kind, key)
        return self._locks.setdefault(path, KeyLock(path, f"{kind} {key[:12]}", self._prepare))

    def _lock_path(self, kind: str, key: str) -> Path:
        return self.root / _LOCKS / f"{kind}-{key}.lock"

    def _prepare(self) -> None:
        """Create the root, marked so that backups and version control leave it out.

        A folder that somebody made for the cache is marked, too, while it holds nothing but marks
        and folders of the store's own; one with other files in it is left as it is, for a mark
        would hide those as well.  Marks that a killed process cut short are completed.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        if {path.name for path in self.root.iterdir()} <= {*_MARKS, _LOCKS, _DIGESTS} or _begun(
            self.root
        ):
            for name, text in _MARKS.items():
                # Not by a temporary file, which a kill would leave; what a kill cuts short is
                # written again.
                if _content(self.root / name) != text:
                    (self.root / name).write_bytes(text)

    def usage(self) -> Usage:
        """All that is stored, unfinished and damaged entries included."""
        found = self.list()
        return Usage(len(found), sum(info.size for info in found))

    def prune(self, *, unused_for: float = 0.0, damaged_only: bool = False) -> Usage:
        """Remove entries that were neither changed nor read for so many seconds; what was removed.

        An entry that a process is at work on stays.
        """
        latest = time.time() - unused_for
        gone = []
        for info in self.list():
            if info.used > latest or (damaged_only and info.state != "damaged"):
                continue
            if self.remove(info):
                gone.append(info)
        return Usage(len(gone), sum(info.size for info in gone))

    def remove(self, info: EntryInfo) -> bool:
        """Remove an entry; whether it is gone.  One that a process is at work on stays."""
        with (
            self._lock(info.kind, info.key).held_if_free() as free,
            translate_os_errors(info.path, "remove"),
        ):
            if free and info.path.exists():
                # Renamed first: no reader ever sees half of an entry.
                remove(move_aside(info.path, "removed"))
        return free

    def is_free(self, info: EntryInfo) -> bool:
        """Whether no process is at work on an entry; writes nothing."""
        if not self._lock_path(info.kind, info.key).exists():
            return True
        with self._lock(info.kind, info.key).held_if_free() as free:
            return free

    def list(self) -> tuple[EntryInfo, ...]:
        """Every entry, sorted by kind and key."""
        with translate_os_errors(self.root, "list"):
            folders = sorted(
                entry
                for kind in _folders(self.root)
                if kind.name not in (_LOCKS, _DIGESTS)
                for start in _folders(kind)
                if len(start.name) == 2
                for entry in _folders(start)
            )
            described = (self._describe(folder) for folder in folders)
            return tuple(info for info in described if info is not None)

    def _describe(self, folder: Path) -> EntryInfo | None:
        """What a folder is, or None where another process has removed it by now."""
        status = [found for file in _files(folder) if (found := _status(file)) is not None]
        own, of_manifest = _status(folder), _status(folder / MANIFEST)
        if own is None:
            return None
        key, _, aside = folder.name.partition(".")
        changed = max((s.st_mtime for s in status), default=own.st_mtime)
        read = of_manifest.st_atime if of_manifest else 0.0
        return EntryInfo(
            kind=folder.parent.parent.name,
            key=key,
            path=folder,
            size=sum(s.st_size for s in status),
            mtime=changed,
            used=max(changed, read),
            state="damaged" if aside else "complete" if of_manifest else "unfinished",
        )


def _begun(root: Path) -> bool:
    """Whether the tag is there as it is written here, or its beginning."""
    content = _content(root / _TAG)
    return content is not None and _MARKS[_TAG].startswith(content)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _folders(path: Path) -> list[Path]:
    """The folders in `path`; none where it is gone.  Raises `OSError` where it can't be read,
    which `Path.glob` would pass over in silence.
    """
    try:
        with os.scandir(path) as found:
            return [Path(one.path) for one in found if one.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):  # another process may remove it meanwhile
        yield from (path for path in folder.rglob("*") if path.is_file())


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None
