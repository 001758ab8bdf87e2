"""The report of a pair: what was measured, what was asked of it, and with which settings.

As JSON it is `report.json`, the source of truth; every other form is drawn from it.  `schema.json`
beside this file describes that form.
"""

from __future__ import annotations

import json
import typing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.gate.recognition import NOTHING, without_accepted
from pytest_crossdiff.report.layers import Layer, LayerSide
from pytest_crossdiff.results.difference import SIDES, Side
from pytest_crossdiff.results.result import SCHEMA, Result, build
from pytest_crossdiff.settings import fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_crossdiff.gate.accepted_file import Entry
    from pytest_crossdiff.gate.recognition import Recognition
    from pytest_crossdiff.gate.verdict import Verdict
    from pytest_crossdiff.settings import Settings

FORMAT: Literal["crossdiff-report"] = "crossdiff-report"
VERSION: Literal[3] = 3
"""Version of the report's form; raised when a reader of the older one would misread it."""


@dataclass(frozen=True)
class Setting:
    """A setting with the place it came from, "" where that is not known.

    decides: it was read when the verdict was drawn, and changes nothing that was measured.
    """

    name: str
    value: str
    default: str
    source: str
    help: str
    decides: bool


@dataclass(frozen=True)
class SideCheck:
    """What one side has that the other hasn't, against its limits; a limit of None is none.

    count, strength: of the confirmed differences, strength joint, 0 to 1.  possible: further
    differences; possible_strength: at most, with those.  count_from, strength_from: where each
    limit was set, in words.  open: within both limits, but not if what is possible were confirmed.
    """

    side: Side
    count: int
    possible: int
    strength: float
    possible_strength: float
    max_count: int | None
    max_strength: float | None
    count_from: str
    strength_from: str
    over_count: bool
    over_strength: bool
    open: bool

    @property
    def exceeded(self) -> bool:
        """Over either limit."""
        return self.over_count or self.over_strength


@dataclass(frozen=True)
class Check:
    """A verdict that a test asked for.

    test: its id, "" when it was asked for outside of a test.  status: as the gate words it, e.g.
    `"within"`, `"exceeded"`.  passed: the test didn't fail for it.  reason: more about the status,
    "" where the sides say it all.  advice: what would decide an inconclusive one.
    """

    test: str
    status: str
    passed: bool
    reason: str
    sides: tuple[SideCheck, ...]
    advice: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, verdict: Verdict, test: str = "", *, advice: Iterable[str] = (), lenient: bool = False
    ) -> Check:
        """What is to be told of `verdict`.  lenient: an inconclusive one passes."""
        sides = tuple(
            SideCheck(
                side=side.side,
                count=side.count,
                possible=side.possible,
                strength=side.strength,
                possible_strength=side.possible_strength,
                max_count=side.limits.max_count,
                max_strength=side.limits.max_strength,
                count_from=side.limits.count_from,
                strength_from=side.limits.strength_from,
                over_count=side.over_count,
                over_strength=side.over_strength,
                open=side.open,
            )
            for side in verdict.sides
        )
        passed = verdict.status == "within" or (lenient and verdict.status == "inconclusive")
        return cls(test, verdict.status, passed, verdict.reason, sides, tuple(advice))


@dataclass(frozen=True)
class Acceptance:
    """An accepted difference, and what became of it; dates are written 2026-11-22, "" for none.

    difference: its id here, or where it is missing the one it had when it was accepted.
    by, reason, date: who accepted it, why, and when, at which strength.  state: whether that lets
    it pass: `"accepted"`, or it has `"grown"` or `"expired"` since, or it is `"missing"` here.
    entry: the id in the file of accepted differences.  description: what it was then, "" where
    texts are left out.  growth: how many times the accepted strength it has, None where missing.
    """

    difference: str
    by: str
    reason: str
    date: str
    state: str = "accepted"
    expires: str = ""
    entry: str = ""
    description: str = ""
    strength: float = 0.0
    growth: float | None = None

    @classmethod
    def of(cls, recognition: Recognition) -> Iterator[Acceptance]:
        """What is to be told of each entry that was looked for."""
        for known in recognition.found:
            yield cls._of(known.entry, known.difference, known.state, known.growth)
        for entry in recognition.missing:
            yield cls._of(entry, entry.seen_as, "missing", None)

    @classmethod
    def _of(cls, entry: Entry, difference: str, state: str, growth: float | None) -> Acceptance:
        return cls(
            difference=difference,
            by=entry.author,
            reason=entry.reason,
            date=entry.date.isoformat(),
            state=state,
            expires=entry.expires.isoformat() if entry.expires else "",
            entry=entry.id,
            description=entry.description,
            strength=entry.strength,
            growth=growth,
        )


@dataclass(frozen=True)
class Report:
    """Everything that is told of a pair, on paper, on the terminal and to machines.

    sides: what counts.  accepted: what doesn't, or did once.  cached: nothing was computed for it.
    layers: the same pair at several layers, this one among them, where the session measured it so.
    """

    format: Literal["crossdiff-report"]
    version: int
    checks: tuple[Check, ...]
    settings: tuple[Setting, ...]
    sides: tuple[LayerSide, ...]
    accepted: tuple[Acceptance, ...]
    layers: tuple[Layer, ...]
    cached: bool
    result: Result

    @classmethod
    def of(
        cls,
        result: Result,
        *,
        checks: Iterable[Check] = (),
        settings: Settings | None = None,
        accepted: Recognition = NOTHING,
        cached: bool = True,
    ) -> Report:
        """The report of `result`; without `settings` it names those that were measured with."""
        counted = without_accepted(result, accepted)
        return cls(
            FORMAT,
            VERSION,
            tuple(checks),
            _given(settings) if settings else _measured(result),
            tuple(LayerSide.of(counted, side) for side in SIDES),
            tuple(Acceptance.of(accepted)),
            (),
            cached,
            result,
        )

    @property
    def counted(self) -> Result:
        """The result as if it had only the differences that count."""
        return without_accepted(self.result, self)

    def acceptance(self, difference: str) -> Acceptance | None:
        """What is known of the difference of this id, None when it is new."""
        known = (a for a in self.accepted if a.state != "missing")
        return next((a for a in known if a.difference == difference), None)

    def accepts(self, difference: str) -> bool:
        """Whether the difference of this id isn't to count."""
        known = self.acceptance(difference)
        return known is not None and known.state == "accepted"

    def to_json(self, indent: int | None = None) -> str:
        return json.dumps(self, default=vars, indent=indent, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Read a `report.json`.  Raises `StoreError` when it isn't one, or of another version."""
        try:
            data = json.loads(text)
            if data.get("format") != FORMAT:
                raise StoreError("this is no report of crossdiff", remedy="name a report.json")
            version = data.get("version"), data["result"].get("schema")
            if version != (VERSION, SCHEMA):
                raise StoreError(
                    f"a report has version {version[0]!r} with results of schema {version[1]!r}; "
                    f"this program reads {VERSION} with {SCHEMA}",
                    remedy="make the report anew",
                )
            return typing.cast("Report", build(cls, data))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"a report is malformed: {error!r}") from error


def _given(settings: Settings) -> tuple[Setting, ...]:
    return tuple(
        Setting(
            name=field.name,
            value=_text(getattr(settings, field.name)),
            default=_text(field.default),
            source=settings.sources.get(field.name, "default"),
            help=field.help,
            decides=field.decides,
        )
        for field in fields()
    )


def _measured(result: Result) -> tuple[Setting, ...]:
    known = {field.name: field for field in fields()}
    return tuple(
        Setting(
            name=name,
            value="" if value == "None" else value,
            default=_text(known[name].default) if name in known else "",
            source="",
            help=known[name].help if name in known else "",
            decides=False,
        )
        for name, value in result.settings.items()
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)
