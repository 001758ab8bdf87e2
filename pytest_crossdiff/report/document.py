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
from pytest_crossdiff.gate.check import Check
from pytest_crossdiff.gate.recognition import NONE_ACCEPTED, without_accepted
from pytest_crossdiff.report.acceptance import Acceptance
from pytest_crossdiff.report.layers import LayerSide, MeasuredLayer
from pytest_crossdiff.report.tokenizers import token_notes
from pytest_crossdiff.results.in_common import InCommon, in_common
from pytest_crossdiff.results.result import SCHEMA, Result, build
from pytest_crossdiff.results.tests import TestsAtRisk
from pytest_crossdiff.settings import fields
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_crossdiff.gate.recognition import Recognition
    from pytest_crossdiff.settings import Settings

FORMAT: Literal["crossdiff-report"] = "crossdiff-report"
VERSION: Literal[4] = 4
"""Version of the report's form; raised when a reader of the older one would misread it."""
READABLE = (3, 5), (VERSION, SCHEMA)
"""Versions of the form, with that of its result, that can be read; only names have changed."""


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
class Report:
    """Everything that is reported of a pair: the source of the page, the terminal and the files.

    sides: what counts.  accepted: what doesn't, or did once.  cached: nothing was computed for it.
    layers: the same pair at several layers, this one among them, where the session measured it so.
    at_risk: ordinary tests that one model passes and the other fails, None for none.
    notes: sentences on what else may have changed the result, such as unequal tokenizers.
    in_common: of the candidate's surprising replies, None where there are few.
    """

    format: Literal["crossdiff-report"]
    version: int
    checks: tuple[Check, ...]
    settings: tuple[Setting, ...]
    sides: tuple[LayerSide, ...]
    accepted: tuple[Acceptance, ...]
    layers: tuple[MeasuredLayer, ...]
    cached: bool
    result: Result
    notes: tuple[str, ...] = ()
    at_risk: TestsAtRisk | None = None
    in_common: InCommon | None = None

    @classmethod
    def of(
        cls,
        result: Result,
        *,
        checks: Iterable[Check] = (),
        settings: Settings | None = None,
        accepted: Recognition = NONE_ACCEPTED,
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
            token_notes(result.tokenizers),
            in_common=in_common(result.replies),
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
            if version not in READABLE:
                raise StoreError(
                    f"a report has version {version[0]!r} with results of schema {version[1]!r}; "
                    f"this program reads {VERSION} with {SCHEMA}",
                    remedy="make the report again",
                )
            data |= {"version": VERSION, "result": data["result"] | {"schema": SCHEMA}}
            report = typing.cast("Report", build(cls, data))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise StoreError(
                f"a report is malformed: {error!r}", remedy="make the report again"
            ) from error
        if tuple(side.side for side in report.sides) != SIDES:
            raise StoreError(
                "a report is malformed: its sides are not the baseline and the candidate",
                remedy="make the report again",
            )
        return report


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
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
