"""Entries of a cache in one file, to be kept or carried elsewhere, each part with its digest.

The file is a tar archive.  Its first member lists the others with their SHA-256; nothing is
unpacked that the list does not have.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.store.digest import digest
from pytest_crossdiff.store.files import checked_name, temporary_beside, translate_os_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pytest_crossdiff.store.cache import Entry, Store

HEAD = "archive.json"
_CHUNK = 1 << 20
_MALFORMED = (ValueError, TypeError, LookupError, AttributeError, RecursionError)


class Packed(NamedTuple):
    """An entry in an archive.  meta: of its manifest.  files: the digest of each part by name."""

    kind: str
    key: str
    meta: dict[str, Any]
    files: dict[str, str]

    @classmethod
    def of(cls, one: Mapping[str, Any]) -> Packed:
        """The entry that an archive lists.  Raises `ValueError`, `TypeError` or `LookupError`."""
        kind, key, meta, files = one["kind"], one["key"], dict(one["meta"]), dict(one["files"])
        if not all(isinstance(text, str) for text in (kind, key, *files.values())):
            raise ValueError("a name or a digest that is no text")
        return cls(kind, key, meta, files)


class _Head(NamedTuple):
    """What an archive says of itself."""

    facts: dict[str, Any]
    entries: tuple[Packed, ...]


def pack(file: Path, entries: Iterable[Entry], purpose: str, facts: Mapping[str, Any]) -> int:
    """Write the entries, all complete, to `file`; its size in bytes.  `unpack` adds the first last.

    purpose: what the archive is, for `unpack` to compare.  facts: what is to be known of it.
    Raises `StoreError`, also where `file` is there already, and `DamagedEntry`.
    """
    packed, paths = [], []
    for entry in entries:
        manifest = entry.read_manifest()
        if manifest is None:
            raise StoreError(f"the entry {entry.name} of the cache is not finished")
        kind, _, key = entry.name.partition("/")
        packed.append(Packed(kind, key, manifest.meta, dict(manifest.files)))
        paths += [(f"{kind}/{key}/{name}", entry.verified_path(name)) for name in manifest.files]
    content: dict[str, Any] = {
        "format": purpose,
        "facts": dict(facts),
        "entries": [entry._asdict() for entry in packed],
    }
    head = json.dumps({**content, "seal": digest(content)}).encode()
    if file.exists():
        raise StoreError(f"{file} is there already", remedy="name another file, or remove it")
    temporary = temporary_beside(file)
    with translate_os_errors(file, "write", setting=""):
        try:
            with tarfile.open(temporary, "w") as archive:
                member = tarfile.TarInfo(HEAD)
                member.size = len(head)
                archive.addfile(member, io.BytesIO(head))
                for name, path in paths:
                    member = tarfile.TarInfo(name)
                    member.size = path.stat().st_size
                    with path.open("rb") as part:
                        archive.addfile(member, part)
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
        return file.stat().st_size


def read_facts(file: Path, purpose: str) -> Mapping[str, Any]:
    """What the archive says of itself.  Raises `StoreError` where it is none."""
    with _opened(file) as archive:
        return _head(archive, file, purpose).facts


def unpack(file: Path, purpose: str, store: Store) -> int:
    """Add the archive's entries to the store; how many it did not have.

    An entry that is there already stays as it is.  Raises `StoreError` for a file that is no such
    archive, or in which a part is not what was packed: the entries behind it are whole and stay.
    The first entry of the archive comes last: where it is there, so are the others.
    """
    with _opened(file) as archive:
        head = _head(archive, file, purpose)
        try:
            members = {member.name: member for member in archive.getmembers() if member.isfile()}
        except (tarfile.TarError, EOFError) as error:
            raise _damaged(file, str(error)) from error
        return sum(_add(archive, members, of, store, file) for of in reversed(head.entries))


def _add(
    archive: tarfile.TarFile,
    members: Mapping[str, tarfile.TarInfo],
    packed: Packed,
    store: Store,
    file: Path,
) -> bool:
    """Write an entry to the store; whether it was not there."""
    entry = store.entry(packed.kind, packed.key)
    with entry.lock():
        if entry.read_manifest() is not None:
            return False
        for name, sha256 in packed.files.items():
            member = members.get(f"{packed.kind}/{packed.key}/{name}")
            if member is None:
                raise _damaged(file, f"it lacks {name} of {packed.kind}")
            with entry.writing(checked_name(name, "a part of an entry")) as temporary:
                _extract(archive, member, temporary, sha256, file)
        entry.complete(packed.meta)
    return True


def _extract(
    archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path, sha256: str, file: Path
) -> None:
    part = archive.extractfile(member)
    assert part is not None, "it is a file"
    found = hashlib.sha256()
    with target.open("wb") as out:
        while chunk := part.read(_CHUNK):
            found.update(chunk)
            out.write(chunk)
    if found.hexdigest() != sha256:
        raise _damaged(file, f"{member.name} is not what was packed")


def _opened(file: Path) -> tarfile.TarFile:
    with translate_os_errors(file, "read", setting=""):
        if file.exists() and not file.is_file():  # to open a pipe would wait for ever
            raise StoreError(f"{file} is no file", remedy="name a file that was exported")
        try:
            return tarfile.open(file, "r:")
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise _damaged(file, f"it is no archive: {error}") from error


def _head(archive: tarfile.TarFile, file: Path, purpose: str) -> _Head:
    try:
        member = archive.next()
        part = archive.extractfile(member) if member and member.name == HEAD else None
        content: dict[str, Any] = json.loads(part.read()) if part else {}
        seal = content.pop("seal", "")
        right_seal = digest(content)
    except (tarfile.TarError, EOFError, *_MALFORMED) as error:
        raise _damaged(file, f"its list of contents can't be read: {error}") from error
    if content.get("format") != purpose:
        raise StoreError(f"{file} is no {purpose}", remedy="name a file that was exported as such")
    if seal != right_seal:
        raise _damaged(file, "its list of contents is not what was written")
    try:
        return _Head(dict(content["facts"]), tuple(Packed.of(one) for one in content["entries"]))
    except _MALFORMED as error:
        raise _damaged(file, f"its list of contents is malformed: {error!r}") from error


def _damaged(file: Path, what: str) -> StoreError:
    return StoreError(f"{file} is damaged: {what}", remedy="copy or export it again")
