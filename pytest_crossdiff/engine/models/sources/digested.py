"""The files that a model's digest was taken of, and whether they still are what they were then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.store.digest import SETTLED_NS, content_digest, file_digest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


class Stamp(NamedTuple):
    """What a file system says of a file; any write changes one of these.

    changed_ns: set by the system at every write, whatever modification time a copying tool sets.
    """

    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """That of `path` now.  Raises `OSError`."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def settled(self, now_ns: int) -> bool:
        """Whether a write after `now_ns` is sure to give another stamp: clocks of file systems are
        coarse.
        """
        return max(self.modified_ns, self.changed_ns) < now_ns - SETTLED_NS


class DigestedFile(NamedTuple):
    """stamp: that under which the digest holds; None while the file is too new to tell by it."""

    sha256: str
    stamp: Stamp | None

    @classmethod
    def of(cls, path: Path, memo: Path | None = None) -> DigestedFile:
        """Read `path`, or remember its digest (`file_digest`).  Raises `OSError`."""
        now, before = time.time_ns(), Stamp.of(path)
        sha256 = file_digest(path, memo)
        settled = before.settled(now) and Stamp.of(path) == before
        return cls(sha256, before if settled else None)

    def current(self, path: Path) -> DigestedFile | None:
        """The same with the stamp that `path` has now; None when its content is another."""
        try:
            now, stamp = time.time_ns(), Stamp.of(path)
            if stamp == self.stamp:
                return self
            same = content_digest(path) == self.sha256
        except OSError:
            return None
        return self._replace(stamp=stamp if stamp.settled(now) else None) if same else None


class DigestedFiles:
    """Takes digests of a model's files and keeps them.  memo: as for `file_digest`."""

    def __init__(self, memo: Path | None = None) -> None:
        self.memo = memo
        self.files: dict[Path, DigestedFile] = {}

    def take(self, path: Path) -> str:
        """The digest of `path`.  Raises `OSError`."""
        self.files[path] = DigestedFile.of(path, self.memo)
        return self.files[path].sha256

    def take_all(self, folder: Path, paths: Iterable[Path], source: str) -> dict[str, str]:
        """The digests of files by their names below `folder`.  Raises `ModelError`."""
        try:
            return {
                path.relative_to(folder).as_posix(): self.take(path) for path in sorted(set(paths))
            }
        except OSError as error:
            raise ModelError(
                f"can't read {error.filename}: {error.strerror}",
                source=source,
                remedy="check the file and its permissions",
            ) from error


def must_be_unchanged(
    files: dict[Path, DigestedFile], reference: str, source: str, listed: Iterable[Path] = ()
) -> None:
    """Raise `ModelError`, with the file's name, where one is no longer what was digested.

    A file that was written again with the same content is the same.  listed: the files that a
    digest would be taken of now; a new one among them is refused, too.
    """
    for path, known in files.items():
        now = known.current(path)
        if now is None:
            what = "was changed" if path.exists() else "was removed"
            raise _changed(path, what, reference, source)
        files[path] = now
    for path in sorted(set(listed) - files.keys()):
        raise _changed(path, "appeared", reference, source)


def _changed(path: Path, what: str, reference: str, source: str) -> ModelError:
    return ModelError(
        f"{path} {what} while {reference} was read, so what was read is not stored",
        source=source,
        remedy="run again when nothing writes into that folder any more; while a training job "
        "does, compare a copy",
    )
