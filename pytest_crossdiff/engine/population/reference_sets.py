"""A set of references as a folder that can be shared: readings without weights.

`references.json` lists them; each has a file of log-probabilities beside it, and one that counts
the words which the model writes.  The texts themselves are not in it, only where tokens begin and
end.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.store.digest import content_digest
from pytest_crossdiff.store.files import checked_name, replace_file, translate_os_errors

if TYPE_CHECKING:
    from pathlib import Path

LIST, FORMAT, VERSION = "references.json", "crossdiff-references", 1


@dataclass(frozen=True)
class SetRow:
    """One reference of a set.

    name: of the model.  digest: of its weights and tokenizer.  key: of its reading, which depends
    on the model, the texts and how they are read.  file: in the folder.  sha256: of that file.
    written, written_sha256: the same for what the model writes, "" where that is not kept.
    """

    name: str
    digest: str
    key: str
    file: str
    sha256: str
    architecture: str = ""
    written: str = ""
    written_sha256: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        return (self.file, self.written) if self.written else (self.file,)


@dataclass(frozen=True)
class ReferenceSet:
    """A folder with its references."""

    folder: Path
    rows: tuple[SetRow, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> ReferenceSet:
        """The set in `folder`.  Raises `StoreError` where it is malformed."""
        path = folder / LIST
        try:
            with translate_os_errors(path, "read", setting="crossdiff_references"):
                data = json.loads(path.read_text(encoding="utf-8"))
            if (data["format"], data["version"]) != (FORMAT, VERSION):
                raise StoreError(
                    f"{path} has the form {data['format']!r}, version {data['version']!r}; this "
                    f"program reads {FORMAT!r}, version {VERSION}"
                )
            rows = tuple(SetRow(**row) for row in data["references"])
            for row in rows:
                if not all(isinstance(value, str) for value in asdict(row).values()):
                    raise ValueError("a reference has a value that is no text")  # noqa: TRY301  told below
                for name in row.files:
                    checked_name(name, "a reading of a set")
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise StoreError(
                f"{path} is no list of references: {error!r}",
                remedy="make the set again with `crossdiff references add`",
            ) from error
        return cls(folder, rows)

    def with_reading(self, row: SetRow, *sources: Path) -> ReferenceSet:
        """The set with one more reading, its files copied from `sources`; one of the same model on
        the same texts is replaced.
        """
        with translate_os_errors(self.folder, "write", setting="--to"):
            self.folder.mkdir(parents=True, exist_ok=True)
            for name, source in zip(row.files, sources, strict=True):
                shutil.copyfile(source, self.folder / name)
        others = tuple(known for known in self.rows if known.file != row.file)
        return self._written((*others, row))

    def without(self, name: str) -> ReferenceSet:
        """The set without the references of that name.  Raises `StoreError` where there is none."""
        gone = [row for row in self.rows if row.name == name]
        if not gone:
            raise StoreError(
                f"the set {self.folder} has no reference {name!r}",
                remedy=f"name one of {', '.join(row.name for row in self.rows) or 'none'}",
            )
        found = self._written(tuple(row for row in self.rows if row not in gone))
        with translate_os_errors(self.folder, "remove", setting="--to"):
            for name in (name for row in gone for name in row.files):
                (self.folder / name).unlink(missing_ok=True)
        return found

    def _written(self, rows: tuple[SetRow, ...]) -> ReferenceSet:
        listed = {"format": FORMAT, "version": VERSION, "references": [asdict(r) for r in rows]}
        with translate_os_errors(self.folder, "write", setting="--to"):
            replace_file(self.folder / LIST, (json.dumps(listed, indent=1) + "\n").encode())
        return ReferenceSet(self.folder, rows)


def is_set(folder: Path) -> bool:
    """Whether a folder is a set of references."""
    try:
        return (folder / LIST).is_file()
    except OSError:
        return False


def verified(file: Path, sha256: str) -> Path:
    """The file of a reading, checked.  Raises `StoreError` where it is not what was written."""
    with translate_os_errors(file, "read", setting="crossdiff_references"):
        if not file.is_file() or content_digest(file) != sha256:
            raise StoreError(
                f"{file} is not what was written",
                remedy="copy the set again, or add the model again",
            )
    return file
