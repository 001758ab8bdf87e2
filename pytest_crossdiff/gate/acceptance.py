"""A session's accepted differences: those of the file, and those that are asked for now."""

from __future__ import annotations

import dataclasses
import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.gate import accepted_file
from pytest_crossdiff.gate.accept_request import AcceptRequest
from pytest_crossdiff.gate.budgets import Budgets
from pytest_crossdiff.gate.new_entries import EntryMaker
from pytest_crossdiff.gate.recognition import Recognition, recognise
from pytest_crossdiff.gate.slot import Slot
from pytest_crossdiff.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pytest

    from pytest_crossdiff.gate.new_entries import Proposal
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.settings import Settings


@dataclass(frozen=True)
class AcceptanceRecord:
    """path: of the file.  request: what `--crossdiff-accept` asks for, None for nothing."""

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

    def recognition(
        self, result: Result, settings: Settings, corpus: str = ""
    ) -> tuple[Recognition, Proposal | None]:
        """What of `result` is accepted, and what the request, if there is one, makes of it.

        corpus: the texts in words, where they are not those that the settings name.  Raises
        `SettingsError` when the file can't be read.
        """
        slot = Slot.of(settings, self.path.parent, corpus)
        growth, texts = settings.accepted_growth, settings.accepted_texts
        entries = {e.id: e for e in accepted_file.read(self.path) if e.slot == slot}
        known = recognise(result, entries.values(), growth=growth, today=self.today)
        if self.request is None:
            return known, None
        maker = EntryMaker(self.request, slot, self.path.parent, self.today, texts)
        proposal = maker.proposal(result, known, Budgets.configured(settings))
        entries |= {entry.id: entry for entry in proposal.entries}
        return recognise(result, entries.values(), growth=growth, today=self.today), proposal

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
        for id_ in () if self.request.all else self.request.ids:
            _refuse_ambiguous(id_, pairs.values())
        made = [entry for proposal in pairs.values() for entry in proposal.entries]
        if not made:
            raise SettingsError(
                "nothing was accepted: no difference is left to accept",
                source="--crossdiff-accept",
                remedy="leave the flag out",
            )
        accepted_file.add(self.path, made)
        names = ", ".join(f"{entry.seen_as} as {entry.id}" for entry in made)
        return f"accepted {names}: commit {self.path.name}"


def _refuse_ambiguous(id_: str, pairs: Iterable[Proposal]) -> None:
    """Raise `SettingsError` unless exactly one pair has a difference of this id."""
    pairs = tuple(pairs)
    having = [pair for pair in pairs if id_ in pair.ids]
    if not having:
        known = ", ".join(dict.fromkeys(i for pair in pairs for i in pair.ids))
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
