"""An artefact of the cache: read, and built first where it is missing or damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pytest_crossdiff.store.manifest import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_crossdiff.store.entry import Entry

T = TypeVar("T")


def read_or_build(
    entry: Entry,
    build: Callable[[Entry], None],
    read: Callable[[Entry], T],
    note: Callable[[str], None],
) -> T:
    """Read `entry`, under its lock.  note: gets a sentence on waiting or damage."""
    with entry.lock(note):
        try:
            if entry.read_manifest() is not None:
                return read(entry)
        except DamagedEntry as damage:
            entry.set_aside(damage.what)
        build(entry)
        return read(entry)


def is_whole(entry: Entry) -> bool:
    """Whether `entry`, which is locked, is complete; it is set aside where that is damaged."""
    try:
        return entry.read_manifest() is not None
    except DamagedEntry as damage:
        entry.set_aside(damage.what)
        return False
