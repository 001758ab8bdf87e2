"""The list of an entry's parts with their digests: what "complete" and "damaged" mean."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.store.digest import canonical, digest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_crossdiff.store.digest import Json

FORMAT = 1
"""Version of the stored form; another one is not read."""

_REBUILD = "run again: the entry is set aside and made again"


class DamagedEntry(StoreError):
    """Stored bytes are not those that were written: truncated, flipped, missing, malformed."""

    def __init__(self, what: str, *, source: str | None = None, remedy: str | None = None) -> None:
        super().__init__(what, source=source, remedy=remedy or _REBUILD)


@dataclass(frozen=True)
class Manifest:
    """A complete entry: `meta` is the writer's, `files` gives each part's sha256.

    of: the kind and the key that it was written for, "kind/key"; "" where an earlier version wrote
    it, which kept neither.
    """

    meta: dict[str, Any]
    files: dict[str, str]
    of: str = ""

    def to_bytes(self) -> bytes:
        """The stored form."""
        return _seal({"format": FORMAT, "of": self.of, "meta": self.meta, "files": self.files})

    @classmethod
    def from_bytes(cls, data: bytes, where: str, of: str = "") -> Manifest:
        """Read `to_bytes`' form.  Raises `DamagedEntry` that names `where`, also where it was
        written for another entry than `of`.
        """
        content = _unseal(data, where, of)
        return cls(content["meta"], content["files"], content.get("of", ""))


@dataclass(frozen=True)
class Parts:
    """The finished parts of an entry that isn't complete, each with the digests it may have.

    A digest is entered before its file is renamed into place, so that no moment to be killed at
    leaves a finished file unknown; a part that is being replaced has two.
    """

    digests: Mapping[str, tuple[str, ...]]
    of: str = ""

    def to_bytes(self) -> bytes:
        """The stored form."""
        return _seal({"format": FORMAT, "of": self.of, "parts": self.digests})

    @classmethod
    def from_bytes(cls, data: bytes, where: str, of: str = "") -> Parts:
        """Read `to_bytes`' form.  Raises `DamagedEntry` as `Manifest.from_bytes` does."""
        content = _unseal(data, where, of)
        return cls({name: tuple(known) for name, known in content["parts"].items()}, of)

    def expecting(self, name: str, sha256: str) -> Parts:
        """`name` may from now on also be `sha256`."""
        return Parts({**self.digests, name: (*self.digests.get(name, ()), sha256)}, self.of)

    def settled(self, name: str, sha256: str) -> Parts:
        """`name` is `sha256` and nothing else."""
        return Parts({**self.digests, name: (sha256,)}, self.of)

    def without(self, name: str) -> Parts:
        """All but `name`."""
        left = {other: known for other, known in self.digests.items() if other != name}
        return Parts(left, self.of)


def _seal(content: dict[str, Json]) -> bytes:
    return canonical({**content, "seal": digest(content)})


def _unseal(data: bytes, where: str, of: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(data)
        seal = content.pop("seal")
        intact = seal == digest(content) and content["format"] == FORMAT
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise DamagedEntry(f"{where} is malformed: {error}") from error
    if not intact:
        raise DamagedEntry(f"{where} is not what was written")
    if of and content.get("of", "") not in ("", of):
        raise DamagedEntry(f"{where} belongs to the entry {content['of']}, not to {of}")
    return content


def must_be_file(path: Path) -> None:
    """Raise `DamagedEntry` for a folder, and for a pipe, which would be waited for."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise DamagedEntry(f"{path} is no file")
