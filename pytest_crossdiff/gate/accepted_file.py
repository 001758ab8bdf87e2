"""Accepted differences, and the file beside the ini that keeps them."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.gate.fingerprint import Fingerprint
from pytest_crossdiff.gate.slot import Slot
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.store.files import locked_folder, remove_leftovers, replace_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pytest_crossdiff.sides import Side

FILE = "crossdiff-accepted.json"
SCHEMA = 1
LARGEST = 64 * 2**20
_ID = re.compile(r"[bc]-[0-9a-f]{8}")
_PLACE = re.compile(r"(\d{1,9}):(\d[\d.e+-]{0,20})")


@dataclass(frozen=True)
class Entry:
    """A difference that somebody accepted.

    id: unique in the file.  seen_as: the difference's id in the run in which it was accepted, with
    the models of that run, for the reader alone.  strength: what was accepted.
    description: what it fires on and the words near, ""
    where texts are left out, as tokens and contexts are () then.
    fingerprint: by which later runs recognise it.
    """

    id: str
    side: Side
    slot: Slot
    seen_as: str
    baseline: str
    candidate: str
    strength: float
    description: str
    tokens: tuple[str, ...]
    contexts: tuple[str, ...]
    reason: str
    author: str
    date: datetime.date
    expires: datetime.date | None
    fingerprint: Fingerprint

    def expired(self, today: datetime.date) -> bool:
        """Whether its last day is over."""
        return self.expires is not None and self.expires < today


def read(path: Path) -> tuple[Entry, ...]:
    """The entries of `path`, none where there is no such file.

    Raises `SettingsError` that says what is wrong with it.
    """
    try:
        if not path.exists():
            return ()
        if not path.is_file():  # to open a pipe would wait for ever
            _refuse(path, "it is no file")
        if path.stat().st_size > LARGEST:
            _refuse(path, f"it is larger than {LARGEST // 2**20} MiB")
        return parse(path.read_text("utf-8-sig"))
    except OSError as error:
        _refuse(path, error.strerror or str(error))
    except ValueError as error:
        _refuse(path, str(error))


def parse(content: str) -> tuple[Entry, ...]:
    """The entries in the contents of a file.  Raises `ValueError`."""
    try:
        data = json.loads(content, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        if re.search(r"^(<{7}|>{7})", content, re.MULTILINE):
            raise ValueError("a merge left conflict marks in it") from None
        raise ValueError(f"it is not JSON: {error}") from None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA:
        raise ValueError(f'it doesn\'t say "schema": {SCHEMA}, the only one this version reads')
    items = data.get("accepted")
    if not isinstance(items, list):
        raise ValueError('"accepted" is not a list')  # noqa: TRY004  one kind for the caller
    entries: dict[str, Entry] = {}
    for number, item in enumerate(items, 1):
        try:
            entry = _entry(item)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"entry {number}: {error}") from None
        if entry.id in entries:
            raise ValueError(f"entry {number}: {entry.id} is there twice")
        entries[entry.id] = entry
    return tuple(entries.values())


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Put `entries` instead of those of the file, sorted, so that a change is a small diff.

    Raises `SettingsError` where it can't be written.
    """
    with _write_errors(path):
        replace_file(path, to_json(entries).encode())


def add(path: Path, entries: Iterable[Entry]) -> None:
    """Add `entries` to the file, instead of those with the same ids; what another process adds at
    the same time stays.

    Raises `SettingsError` where it can't be read or written.
    """
    with _write_errors(path), locked_folder(path.parent):
        remove_leftovers(path.parent)
        before = {entry.id: entry for entry in read(path)}
        write(path, (before | {entry.id: entry for entry in entries}).values())


@contextlib.contextmanager
def _write_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SettingsError(
            f"{path.name} can't be written: {error.strerror or error}",
            source=str(path),
            remedy="make its folder writable, or accept where it is",
        ) from error


def to_json(entries: Iterable[Entry]) -> str:
    """The contents of a file with `entries`."""
    ordered = sorted(entries, key=lambda e: (e.slot, e.side, e.id))
    data = {"schema": SCHEMA, "accepted": [_plain(entry) for entry in ordered]}
    return json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(entry: Entry) -> dict[str, Any]:
    data = {f.name: getattr(entry, f.name) for f in dataclasses.fields(entry)}
    data["slot"] = entry.slot._asdict()
    if not entry.description:
        del data["description"]
    data["strength"] = float(f"{entry.strength:.4g}")
    data["date"] = entry.date.isoformat()
    data["expires"] = entry.expires.isoformat() if entry.expires else None
    places: dict[str, list[str]] = {}
    for (piece, end), activation in sorted(entry.fingerprint.places.items()):
        places.setdefault(piece, []).append(f"{end}:{activation:.3g}")
    data["fingerprint"] = {
        "pairs": entry.fingerprint.pairs,
        "share": round(entry.fingerprint.share, 6),
        "places": {piece: " ".join(found) for piece, found in places.items()},
    }
    return data


def _entry(data: object) -> Entry:
    if not isinstance(data, dict):
        raise ValueError("it is not an object")  # noqa: TRY004  one kind of error for the caller
    slot, print_ = _get(data, "slot", dict), _get(data, "fingerprint", dict)
    id_, side = _get(data, "id", str), _get(data, "side", str)
    if not _ID.fullmatch(id_):
        raise ValueError(f"id {id_[:40]!r} is none of ours")
    if not _get(data, "reason", str).strip():
        raise ValueError("it has no reason")
    if side not in SIDES:
        raise ValueError(f"side is {side[:40]!r}, not baseline or candidate")
    return Entry(
        id=id_,
        side=SIDES[side == "candidate"],
        slot=Slot(*(_get(slot, name, str) for name in Slot._fields)),
        seen_as=_get(data, "seen_as", str),
        baseline=_get(data, "baseline", str),
        candidate=_get(data, "candidate", str),
        strength=_number(data, "strength", 1.0),
        description=_get(data, "description", str) if "description" in data else "",
        tokens=_texts(data, "tokens"),
        contexts=_texts(data, "contexts"),
        reason=_get(data, "reason", str),
        author=_get(data, "author", str),
        date=day(_get(data, "date", str)),
        expires=None if data.get("expires") is None else day(_get(data, "expires", str)),
        fingerprint=Fingerprint(
            pairs=int(_number(print_, "pairs", 1e12)),
            share=_number(print_, "share", 1.0),
            places=_places(_get(print_, "places", dict)),
        ),
    )


def day(text: str) -> datetime.date:
    """`YYYY-MM-DD` as a date.  Raises `ValueError`."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise ValueError(f"{text[:40]!r} is not a date, YYYY-MM-DD")
    return datetime.date.fromisoformat(text)


def _places(data: Mapping[str, object]) -> dict[tuple[str, int], float]:
    places = {}
    for piece, text in data.items():
        for part in text.split(" ") if isinstance(text, str) else [""]:
            match = _PLACE.fullmatch(part)
            if match is None:
                raise ValueError(f"fingerprint: {str(text)[:40]!r} is not a list of places")
            activation = float(match[2])
            if not math.isfinite(activation):
                raise ValueError(f"fingerprint: {match[2]} is not an activation")
            places[piece, int(match[1])] = activation
    return places


def _get(data: Mapping[str, Any], name: str, kind: type) -> Any:  # noqa: ANN401  a `kind`
    if name not in data:
        raise ValueError(f"{name} is missing")
    if not isinstance(data[name], kind):
        raise ValueError(f"{name} is {str(data[name])[:40]!r}")  # noqa: TRY004  as above
    return data[name]


def _number(data: Mapping[str, Any], name: str, most: float) -> float:
    value = data.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise ValueError(f"{name} is {str(value)[:40]!r}, not a number from 0 to {most:g}")
    return float(value)


def _texts(data: Mapping[str, Any], name: str) -> tuple[str, ...]:
    texts = _get(data, name, list)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{name} is not a list of texts")
    return tuple(texts)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _refuse(path: Path, why: str) -> NoReturn:
    raise SettingsError(
        f"the accepted differences can't be read: {why}",
        source=str(path),
        remedy="fix it, restore it from version control, or delete it and accept again",
    )
