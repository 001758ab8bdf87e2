"""The header of a GGUF file: its metadata and where its tensors lie, without numpy or torch.

The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from math import prod
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

MAGIC = b"GGUF"
_STRING, _ARRAY, _FLOAT32 = 8, 9, 0
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS |= {12: "d"}
_ALIGNMENT = "general.alignment"

Value = str | int | float | bool | list["Value"] | None


class TensorPlace(NamedTuple):
    """kind: of its numbers, by ggml's count.  start: in the file, in bytes."""

    shape: tuple[int, ...]
    kind: int
    start: int


class GgufHeader(NamedTuple):
    """metadata: by key; None for an array that wasn't asked for.  tensors: by ggml's names."""

    path: Path
    metadata: dict[str, Value]
    tensors: dict[str, TensorPlace]

    @property
    def architecture(self) -> str:
        """The family, by llama.cpp's name."""
        return str(self.metadata.get("general.architecture", ""))

    def float_tensor(self, name: str) -> list[float] | None:
        """A small tensor's numbers; None where they aren't plain 32-bit ones."""
        place = self.tensors[name]
        if place.kind != _FLOAT32:
            return None
        with self.path.open("rb") as file:
            file.seek(place.start)
            count = prod(place.shape)
            return list(struct.unpack(f"<{count}f", file.read(4 * count)))


def is_gguf(path: Path) -> bool:
    """Whether a file begins as a GGUF file does, whatever its name."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def read_header(path: Path, arrays: Container[str] = ()) -> GgufHeader | None:
    """The header; None where the file is cut short or of a version that isn't known.

    arrays: keys of those that are read, too.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _Cursor(data).header(path, arrays)
    except (struct.error, KeyError, ValueError, IndexError, OSError):
        return None


class _Cursor:
    """A place in the file that moves on with what is read."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = len(MAGIC)

    def header(self, path: Path, arrays: Container[str]) -> GgufHeader | None:
        version, tensors, keys = self.numbers("IQQ")
        if version not in {2, 3}:
            return None
        metadata: dict[str, Value] = {}
        for _ in range(int(keys)):
            key = self.string()
            (kind,) = self.numbers("I")
            metadata[key] = self.value(int(kind), keep=key in arrays)
        found = [self.tensor() for _ in range(int(tensors))]
        alignment = metadata.get(_ALIGNMENT)
        step = alignment if isinstance(alignment, int) else 32
        start = -(-self.at // step) * step
        places = {name: place._replace(start=start + place.start) for name, place in found}
        return GgufHeader(path, metadata, places)

    def numbers(self, form: str) -> tuple[float, ...]:
        found = struct.unpack_from(f"<{form}", self.data, self.at)
        self.at += struct.calcsize(f"<{form}")
        return found

    def string(self) -> str:
        (length,) = struct.unpack_from("<Q", self.data, self.at)
        start = self.at + 8
        self.at = start + length
        if self.at > len(self.data):
            raise ValueError("a string beyond the end of the file")
        return self.data[start : self.at].decode("utf-8", "replace")

    def value(self, kind: int, *, keep: bool) -> Value:
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            return self.numbers(_SCALARS[kind])[0]
        inner, count = (int(number) for number in self.numbers("IQ"))
        if keep:
            return [self.value(inner, keep=True) for _ in range(count)]
        if inner in _SCALARS:
            self.at += struct.calcsize(f"<{_SCALARS[inner]}") * count
            return None
        if inner == _STRING:
            self.skip_strings(count)
            return None
        for _ in range(count):
            self.value(inner, keep=False)
        return None

    def skip_strings(self, count: int) -> None:
        at, data, read = self.at, self.data, struct.Struct("<Q").unpack_from
        for _ in range(count):
            at += 8 + read(data, at)[0]
        self.at = at

    def tensor(self) -> tuple[str, TensorPlace]:
        name = self.string()
        (rank,) = self.numbers("I")
        shape = tuple(int(size) for size in self.numbers("Q" * int(rank)))
        kind, offset = self.numbers("IQ")
        return name, TensorPlace(shape, int(kind), int(offset))
