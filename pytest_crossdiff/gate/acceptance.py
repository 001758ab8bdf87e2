"""`pytest --crossdiff-accept`: what is asked for, and the entries that it makes."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.gate import accepted_file
from pytest_crossdiff.gate.accepted_file import Entry, Slot
from pytest_crossdiff.gate.fingerprint import Fingerprint
from pytest_crossdiff.gate.recognition import RecognisedDifference, Recognition, recognise
from pytest_crossdiff.results.wording import describe_difference, marked
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.settings import Settings

CONTEXTS, COLUMNS = 3, 160
"""Texts of an entry, and how long each may be."""


class AcceptRequest(NamedTuple):
    """What `--crossdiff-accept` and the flags beside it ask for."""

    ids: tuple[str, ...]
    reason: str
    author: str
    expires: datetime.date | None

    @classmethod
    def of(cls, config: pytest.Config, today: datetime.date) -> AcceptRequest | None:
        """What the command line asks for, None when it asks for nothing.

        Raises `pytest.UsageError` where it can't be granted.
        """
        option = config.option
        given = option.crossdiff_accept
        if given is None:
            for name in ("reason", "author", "expires"):
                if getattr(option, f"crossdiff_{name}") is not None:
                    raise pytest.UsageError(
                        f"--crossdiff-{name} belongs to --crossdiff-accept, which is not given"
                    )
            return None
        if os.environ.get("CI"):
            raise pytest.UsageError(
                "--crossdiff-accept is refused where the environment variable CI is set: accept on "
                f"a machine of your own, and commit {accepted_file.FILE}"
            )
        ids = tuple(dict.fromkeys(id_.strip() for id_ in given.split(",") if id_.strip()))
        if not ids:
            raise pytest.UsageError("--crossdiff-accept names no difference: give e.g. C1,B2")
        reason = visible((option.crossdiff_reason or "").strip())
        if not reason:
            raise pytest.UsageError(
                '--crossdiff-accept needs a reason: give --crossdiff-reason "why this is wanted"'
            )
        author = visible((option.crossdiff_author or _git_user(config.rootpath)).strip())
        if not author:
            raise pytest.UsageError(
                "--crossdiff-accept needs an author, and git config user.name is empty: give "
                "--crossdiff-author"
            )
        return cls(ids, reason, author, _expiry(option.crossdiff_expires, today))


def _expiry(text: str | None, today: datetime.date) -> datetime.date | None:
    if text is None:
        return None
    try:
        expires = accepted_file.day(text.strip())
    except ValueError as error:
        raise pytest.UsageError(f"--crossdiff-expires: {error}") from None
    if expires < today:
        raise pytest.UsageError(f"--crossdiff-expires: {expires} is over")
    return expires


def _git_user(folder: Path) -> str:
    try:
        done = subprocess.run(
            ["git", "config", "user.name"],  # noqa: S607  git is where the user has it
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


class Proposal(NamedTuple):
    """What a request comes to on one pair: the ids that it could name, the entries it makes."""

    key: str
    ids: tuple[str, ...]
    entries: tuple[Entry, ...]

    def to_json(self) -> str:
        """As text that any test report can carry."""
        return json.dumps([self.key, self.ids, accepted_file.to_json(self.entries)])

    @classmethod
    def from_json(cls, text: str) -> Proposal:
        """The reverse of `to_json`."""
        key, ids, entries = json.loads(text)
        return cls(key, tuple(ids), accepted_file.parse(entries))


@dataclass(frozen=True)
class AcceptanceRecord:
    """The session's accepted differences: those of the file, and those that are asked for now."""

    path: Path
    request: AcceptRequest | None
    today: datetime.date

    @classmethod
    def of(cls, config: pytest.Config) -> AcceptanceRecord:
        """That of a session.  Raises `pytest.UsageError`."""
        plain = cls.from_paths(config.inipath, config.rootpath)
        return dataclasses.replace(plain, request=AcceptRequest.of(config, plain.today))

    @classmethod
    def from_paths(cls, ini: Path | None, root: Path) -> AcceptanceRecord:
        """The file beside `ini`, or in `root` where there is none, with nothing asked for."""
        today = datetime.datetime.now(datetime.timezone.utc).date()
        return cls((ini.parent if ini else root) / accepted_file.FILE, None, today)

    def slot(self, settings: Settings, corpus: str = "") -> Slot:
        """Where a comparison belongs.  corpus: in words, where it isn't that of the settings."""
        layers = (str(settings.layer_of(side)) for side in SIDES)
        return Slot(corpus or self._written(settings.corpus), *layers)

    def recognition(
        self, result: Result, settings: Settings, corpus: str = ""
    ) -> tuple[Recognition, Proposal]:
        """What of `result` is accepted, and what the request makes of it.

        Raises `SettingsError` when the file can't be read.
        """
        slot = self.slot(settings, corpus)
        entries = {e.id: e for e in accepted_file.read(self.path) if e.slot == slot}
        growth = settings.accepted_growth
        known = recognise(result, entries.values(), growth=growth, today=self.today)
        ids = tuple(d.id for d in result.differences)
        if self.request is None:
            return known, Proposal(result.key, ids, ())
        made = [
            self._entry(d, result, settings, slot, known.of(d.id))
            for d in result.differences
            if d.id in self.request.ids
        ]
        entries |= {entry.id: entry for entry in made}
        found = recognise(result, entries.values(), growth=growth, today=self.today)
        return found, Proposal(result.key, ids, tuple(made))

    def _entry(
        self,
        difference: Difference,
        result: Result,
        settings: Settings,
        slot: Slot,
        known: RecognisedDifference | None,
    ) -> Entry:
        """The entry of `difference`, under the id by which it is `known`, if it is."""
        assert self.request is not None
        fingerprint = Fingerprint.of(difference, result.corpus.heldout_pairs)
        places = sorted(fingerprint.places)
        digest = hashlib.sha256(repr((slot, difference.side, places)).encode()).hexdigest()
        texts = settings.accepted_texts
        contexts = (marked(c, COLUMNS) for c in difference.contexts[:CONTEXTS])
        return Entry(
            id=known.entry.id if known else f"{difference.side[0]}-{digest[:8]}",
            side=difference.side,
            slot=slot,
            seen_as=visible(difference.id),
            baseline=self._written(result.baseline.reference),
            candidate=self._written(result.candidate.reference),
            strength=difference.strength,
            description=describe_difference(difference) if texts else "",
            tokens=tuple(visible(t.token) for t in difference.tokens) if texts else (),
            contexts=tuple(contexts) if texts else (),
            reason=self.request.reason,
            author=self.request.author,
            date=self.today,
            expires=self.request.expires,
            fingerprint=fingerprint,
        )

    def _written(self, reference: str) -> str:
        """A path as it reads from beside the file, so that entries don't name a machine's folders;
        anything else as it is.
        """
        path = Path(reference)
        if not path.is_absolute():
            return visible(reference)
        if path.is_relative_to(self.path.parent):
            return visible(path.relative_to(self.path.parent).as_posix())
        return visible(f"…/{path.name}")

    def write_accepted(self, proposals: Iterable[Proposal]) -> str:
        """Write what the session's pairs have of the request, and say so in words.

        Raises `SettingsError`, with nothing written, when an id is unknown or means several
        differences.
        """
        assert self.request is not None
        pairs = {proposal.key: proposal for proposal in proposals}
        if not pairs:
            raise SettingsError(
                "nothing was accepted: no pair was measured",
                source="--crossdiff-accept",
                remedy="select a test that uses the `crossdiff` fixture, or add --crossdiff",
            )
        for id_ in self.request.ids:
            having = [p for p in pairs.values() if id_ in p.ids]
            if not having:
                known = ", ".join(dict.fromkeys(i for p in pairs.values() for i in p.ids))
                raise SettingsError(
                    f"nothing was accepted: there is no difference {visible(id_)}",
                    source="--crossdiff-accept",
                    remedy=f"name some of: {visible(known)}" if known else "there are none at all",
                )
            if len(having) > 1:
                raise SettingsError(
                    f"nothing was accepted: {visible(id_)} is a difference of {len(having)} pairs",
                    source="--crossdiff-accept",
                    remedy="select one test, by its node id or with -k",
                )
        made = [entry for proposal in pairs.values() for entry in proposal.entries]
        entries = {entry.id: entry for entry in accepted_file.read(self.path)}
        accepted_file.write(self.path, (entries | {entry.id: entry for entry in made}).values())
        names = ", ".join(f"{entry.seen_as} as {entry.id}" for entry in made)
        return f"accepted {names}: commit {self.path.name}"
