"""Digests: of settings as canonical JSON, and of files, with a memory for the large ones."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from pytest_crossdiff.store.files import replace_file

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"

REMEMBER_ABOVE = 1_000_000
"""Bytes; smaller files are read each time."""

SETTLED_NS = 2_000_000_000
"""The coarsest clock of a common file system (FAT) ticks every 2 s."""
TICK_NS = 100_000_000
"""Ten ticks of the slowest clock by which a system notes changes; FAT notes none of them."""
_CHUNK = 1 << 20


def digest(value: Json) -> str:
    """The sha256 of `value` as canonical JSON: the same for equal values, in any order of keys.

    Tuples are lists and `1` is not `1.0`.  Raises `ValueError` for NaN and infinities and
    `TypeError` for keys that are not text, which JSON would silently turn into text.
    """
    return hashlib.sha256(canonical(value)).hexdigest()


def canonical(value: Json) -> bytes:
    """`value` as JSON with sorted keys and no spaces, in UTF-8."""
    _refuse_other_keys(value)
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode("utf-8", "surrogatepass")


def _refuse_other_keys(value: Json) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"a key must be text to have a digest, not {key!r}")
            _refuse_other_keys(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _refuse_other_keys(item)


def content_digest(path: Path) -> str:
    """The sha256 of a file's bytes, read in pieces.  Raises `OSError`."""
    state = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_CHUNK):
            state.update(piece)
    return state.hexdigest()


def file_digest(path: str | os.PathLike[str], memo: Path | None = None) -> str:
    """The sha256 of a file's bytes; large files are not read again while they look untouched.

    memo: folder with one small JSON file for each path.  A digest is believed while the resolved
    path, size, mtime, ctime and inode are the same: a copy may keep the mtime of what it is copied
    from, and a removed file's inode is given to the next one.  A memo that is damaged is ignored,
    and one that can't be written is done without.  Raises `OSError` when `path` can't be read.
    """
    resolved = Path(path).resolve()
    before = _Identity.of(resolved)
    if memo is None or before.size <= REMEMBER_ABOVE:
        return content_digest(resolved)
    note = memo / f"{hashlib.sha256(os.fsencode(resolved)).hexdigest()}.json"
    known = _recall(note, before)
    if known is not None:
        return known
    started = time.time_ns()
    found = content_digest(resolved)
    if before.settled(started) and _Identity.of(resolved) == before:
        _remember(note, before, found)
    return found


class _Identity(NamedTuple):
    """What tells that a file is still the one that was read."""

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> _Identity:
        status = path.stat()
        times = status.st_mtime_ns, status.st_ctime_ns
        return cls(str(path), status.st_size, *times, status.st_ino)

    def settled(self, now_ns: int) -> bool:
        """Whether a later change is sure to give other times: within one tick of the file system's
        clock it may not.
        """
        return self.mtime_ns < now_ns - SETTLED_NS and self.ctime_ns < now_ns - TICK_NS

    def sealed(self, sha256: str) -> dict[str, str | int]:
        """The record that remembers `sha256`, with a digest of its own against bit rot."""
        record = {**self._asdict(), "sha256": sha256}
        return {**record, "seal": digest(record)}


def _recall(note: Path, identity: _Identity) -> str | None:
    try:
        remembered = json.loads(note.read_bytes())
        known = str(remembered["sha256"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return known if remembered == identity.sealed(known) else None


def _remember(note: Path, identity: _Identity, found: str) -> None:
    with contextlib.suppress(OSError):
        note.parent.mkdir(parents=True, exist_ok=True)
        # A path of undecodable bytes holds lone surrogates, which only ASCII escapes carry.
        replace_file(note, json.dumps(identity.sealed(found)).encode("ascii"))
