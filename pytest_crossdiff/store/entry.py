"""One artefact of the cache: a folder of parts that is complete once its manifest is there."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.store.digest import content_digest
from pytest_crossdiff.store.files import (
    TEMPORARY,
    WRITE_ERRORS,
    checked_name,
    move_aside,
    remove,
    replace_file,
    sync,
    temporary_beside,
    translate_os_errors,
)
from pytest_crossdiff.store.manifest import DamagedEntry, Manifest, Parts, must_be_file

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path
    from typing import Any

    from pytest_crossdiff.store.lock import KeyLock

MANIFEST = "manifest.json"
PARTS = "parts.json"


class FileState(NamedTuple):
    """A file as it was when its digest was last taken, or its manifest last read."""

    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileState:
        """What `status` tells."""
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


class Entry:
    """What the store keeps under one kind and key.

    Reading a complete entry needs no lock and no permission to write.  Everything that writes
    belongs inside `with entry.lock():`, and a complete entry never changes again.

    path: the folder, which exists once something was written.  name: its kind and key, which stand
    in everything that is written, so that a folder that was moved or copied is not mistaken.
    """

    def __init__(
        self,
        path: Path,
        lock: KeyLock,
        verified: dict[Path, tuple[FileState, str]],
        note: Callable[[str], None],
    ) -> None:
        self.path = path
        self.name = f"{path.parent.parent.name}/{path.name}"
        self._lock = lock
        self._verified = verified
        self._note = note
        self._check: Callable[[], None] = lambda: None
        self._manifest: Manifest | None = None
        self._manifest_state: FileState | None = None

    @contextlib.contextmanager
    def checked_by(self, check: Callable[[], None]) -> Iterator[None]:
        """Inside, a part or the manifest takes its name only after `check` has returned.

        check: raises where what is being stored no longer is what the key stands for.
        """
        before, self._check = self._check, check
        try:
            yield
        finally:
            self._check = before

    def read_manifest(self) -> Manifest | None:
        """The manifest, or None while the entry is not complete.  Raises `DamagedEntry`."""
        if self._manifest is None:
            path = self.path / MANIFEST
            self._manifest_state = self._look(path)
            data = self._read_if_there(path)
            if data is None:
                return None
            self._manifest = Manifest.from_bytes(data, str(path), self.name)
        return self._manifest

    def read_bytes(self, name: str) -> bytes:
        """A part's bytes, checked.  Raises `DamagedEntry`, also where there is no such part."""
        path, known = self._part(name)
        data = self._read_if_there(path)
        if data is None:
            raise DamagedEntry(f"{path} is missing")
        if hashlib.sha256(data).hexdigest() not in known:
            raise DamagedEntry(f"{path} is not what was written ({len(data)} bytes)")
        return data

    def verified_path(self, name: str) -> Path:
        """A part's path, checked once a process while its size and mtime stay.

        For files that are mapped into memory.  Raises `DamagedEntry`.
        """
        path, known = self._part(name)
        seen = self._look(path)
        if seen is None:
            raise DamagedEntry(f"{path} is missing")
        before, sha256 = self._verified.get(path, (None, ""))
        if before != seen:
            with translate_os_errors(path, "read"):
                must_be_file(path)
                sha256 = content_digest(path)
            self._verified[path] = (seen, sha256)
        if sha256 not in known:
            raise DamagedEntry(f"{path} is not what was written ({seen.size} bytes)")
        return path

    def has(self, name: str) -> bool:
        """Whether the part was finished, by this run or one that was interrupted, and is intact.

        A damaged part of an incomplete entry is set aside, said so, and counts as not there.
        """
        complete = self.read_manifest()
        if complete is not None:
            return name in complete.files
        if name not in self._parts().digests or not (self.path / name).exists():
            return False
        try:
            self.verified_path(name)
        except DamagedEntry as damage:
            with self.lock(), translate_os_errors(self.path / name, "set aside"):
                move_aside(self.path / name, "damaged")
                self._write_parts(self._parts().without(name))
            self._note(f"{damage.what}; it is set aside and made again")
            return False
        return True

    @contextlib.contextmanager
    def lock(self, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
        """Keep other processes from this key; a process that ends, however it ends, lets go.

        on_wait: told once, in words, when another process is at work on this key.  Afterwards look
        at `read_manifest()` again: the other may have completed the entry.
        """
        with self._lock.held(on_wait) as first:
            if first:
                self._manifest = None
                with translate_os_errors(self.path, "clean up"):
                    for leftover in self._leftovers():
                        remove(leftover)
            yield

    def _leftovers(self) -> list[Path]:
        """What a killed process left: temporary files, and beside a manifest what it doesn't list,
        such as a checkpoint.
        """
        temporary = [*self.path.glob(f"{TEMPORARY}*")]
        try:
            data = self._read_if_there(self.path / MANIFEST)
            if data is None:
                return temporary
            complete = Manifest.from_bytes(data, str(self.path), self.name)
        except DamagedEntry:  # whoever reads the entry says so
            return temporary
        return [
            path
            for path in self.path.iterdir()
            if path.name != MANIFEST and path.name not in complete.files
        ]

    def write(self, name: str, data: bytes) -> None:
        """Store `data` as a part of the entry, instead of an older one of that name."""
        with self.writing(name) as temporary:
            temporary.write_bytes(data)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[Path]:
        """Yield a temporary path to write a part to; it takes its name when the block ends well.

        Raises `StoreError` when the disk is full or can't be written.
        """
        path = self._writable(name)
        temporary = temporary_beside(path)
        try:
            with translate_os_errors(path, "write"):
                self.path.mkdir(parents=True, exist_ok=True)
            with translate_os_errors(path, "write", only=WRITE_ERRORS):
                yield temporary
            with translate_os_errors(path, "write"):
                # A writer with temporary files of its own leaves them readable by the owner alone.
                temporary.chmod(self.path.stat().st_mode & 0o666)
                sync(temporary)
                sha256 = content_digest(temporary)
            self.take(name, temporary, sha256)
        finally:
            with contextlib.suppress(OSError):
                remove(temporary)

    def take(self, name: str, temporary: Path, sha256: str) -> None:
        """Make a file that lies in the entry's folder, whole and on the disk, a part of the entry.

        sha256: its digest, which whoever wrote it has taken.
        """
        path = self._writable(name)
        self._check()
        with translate_os_errors(path, "write"):
            parts = self._parts().expecting(name, sha256)
            self._write_parts(parts)
            temporary.replace(path)
            sync(self.path)
            self._verified[path] = (FileState.of(path.stat()), sha256)
            if len(parts.digests[name]) > 1:
                self._write_parts(parts.settled(name, sha256))

    def keep_only(self, names: Collection[str]) -> None:
        """Remove the finished parts of an incomplete entry that have other names."""
        for name in self._parts().digests.keys() - set(names):
            self.discard(name)

    def spare_path(self, name: str) -> Path:
        """Where a process that doesn't hold the lock may write a part, for `take`."""
        with translate_os_errors(self.path, "write"):
            self.path.mkdir(parents=True, exist_ok=True)
        return temporary_beside(self.path / checked_name(name, "a part of an entry"))

    def discard(self, name: str) -> None:
        """Remove a part that the complete entry doesn't list, such as a checkpoint."""
        complete = self.read_manifest()
        if complete is None or name in complete.files:
            path = self._writable(name)
        else:
            path = self.path / checked_name(name, "a part of an entry")
        with translate_os_errors(path, "remove"):
            remove(path)
            if complete is None:
                self._write_parts(self._parts().without(name))

    def complete(self, meta: dict[str, Any], *, without: Collection[str] = ()) -> Manifest:
        """Write the manifest: all finished parts belong to the entry, which is immutable from now.

        without: parts that were needed only on the way; they are removed.
        """
        self._must_be_open()
        self._check()
        files = {}
        for name in sorted(self._parts().digests.keys() - set(without)):
            if not self.has(name):
                raise DamagedEntry(f"{self.path / name} was lost before the entry was complete")
            files[name] = self._verified[self.path / name][1]
        manifest = Manifest(meta, files, self.name)
        with translate_os_errors(self.path, "write"):
            self.path.mkdir(parents=True, exist_ok=True)
            replace_file(self.path / MANIFEST, manifest.to_bytes(), synced=True)
        for name in (*without, PARTS):
            with contextlib.suppress(OSError):  # in the way of nothing
                remove(self.path / name)
        return manifest

    def set_aside(self, reason: str) -> str:
        """Rename a damaged entry and return, and note, a warning; "" when nothing had to be moved.

        Another process may have done the same and rebuilt the entry since this one judged it: a
        manifest that this object hasn't read is left alone.
        """
        try:
            with self.lock(), translate_os_errors(self.path, "set aside"):
                if not self.path.exists() or self._look(self.path / MANIFEST) != (
                    self._manifest_state
                ):
                    return ""
                aside = move_aside(self.path, "damaged")
                self._manifest = self._manifest_state = None
        except StoreError as error:
            raise StoreError(
                f"{reason}, and it can't be set aside: {error.what}",
                remedy=f"remove {self.path} as somebody who may write there, or set "
                "crossdiff_cache_dir to a folder that can be written",
            ) from error
        warning = f"{reason}; it is set aside as {aside.name} and made again"
        self._note(warning)
        return warning

    def _part(self, name: str) -> tuple[Path, tuple[str, ...]]:
        """A part's path and the digests it may have."""
        path = self.path / checked_name(name, "a part of an entry")
        manifest = self.read_manifest()
        if manifest is not None:
            known = tuple(sha256 for part, sha256 in manifest.files.items() if part == name)
        else:
            known = self._parts().digests.get(name, ())
        if not known:
            raise DamagedEntry(f"{path} is not a finished part of the entry")
        return path, known

    def _parts(self) -> Parts:
        path = self.path / PARTS
        data = self._read_if_there(path)
        if data is None:
            return Parts({}, self.name)
        try:
            return Parts.from_bytes(data, str(path), self.name)
        except DamagedEntry as damage:
            self._note(f"{damage.what}; the parts it listed are made again")
            return Parts({}, self.name)

    def _write_parts(self, parts: Parts) -> None:
        replace_file(self.path / PARTS, parts.to_bytes(), synced=True)

    def _writable(self, name: str) -> Path:
        """The path of a part that may be written now."""
        if name in (MANIFEST, PARTS):
            raise StoreError(f"{name} is the store's own, not a part of an entry")
        self._must_be_open()
        return self.path / checked_name(name, "a part of an entry")

    def _must_be_open(self) -> None:
        if not self._lock.is_held:
            raise RuntimeError("an entry is written only inside `with entry.lock():`")
        if self.read_manifest() is not None:
            raise StoreError(f"{self.path} is complete and can't change any more")

    def _read_if_there(self, path: Path) -> bytes | None:
        with translate_os_errors(path, "read"):
            try:
                must_be_file(path)
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def _look(self, path: Path) -> FileState | None:
        with translate_os_errors(path, "read"):
            try:
                return FileState.of(path.stat())
            except FileNotFoundError:
                return None
