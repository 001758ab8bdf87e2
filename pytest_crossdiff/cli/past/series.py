"""Earlier results of one baseline: a series of candidates for each layer and settings."""

from __future__ import annotations

import dataclasses
import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_crossdiff.gate.acceptance import AcceptanceRecord
from pytest_crossdiff.gate.budgets import Budgets
from pytest_crossdiff.gate.check import evaluate_budgets
from pytest_crossdiff.gate.metric_budgets import METRICS
from pytest_crossdiff.gate.recognition import compare
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.results.wording import behaviour, describe_difference
from pytest_crossdiff.settings import fields
from pytest_crossdiff.settings.parsing import parse
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_crossdiff.cli.configuration import Configuration
    from pytest_crossdiff.engine.past_results import PastResult
    from pytest_crossdiff.gate.check import Check
    from pytest_crossdiff.gate.recognition import Comparison
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.output import Estimate
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.settings import Settings

_LAYERS = ("layer", "baseline_layer", "candidate_layer")
_NOT_COMPARED = {"baseline", "candidate", "corpus", "corpus_column", "metrics", *_LAYERS}
"""Settings of a result that are equal by digest, or say nothing of its differences."""


class Row(NamedTuple):
    """A candidate's result with the verdict on it by the present budgets and acceptances."""

    measured: datetime.datetime
    report: Report
    check: Check

    @property
    def result(self) -> Result:
        return self.report.result

    def metric(self, setting: str) -> Estimate | None:
        """The output metric, or the share of replies, that `setting` limits, where it is known."""
        return METRICS[setting].of(self.result)


class Series(NamedTuple):
    """where: the layers, in words.  differs: settings with another value than the present one.

    rows: the oldest first.
    """

    where: str
    differs: tuple[str, ...]
    rows: tuple[Row, ...]

    def last_change(self) -> Comparison | None:
        """The differences of the last result beside those of the one before."""
        if len(self.rows) < 2:
            return None
        return compare(self.rows[-2].result, self.rows[-1].result)


def series(past: Iterable[PastResult], configuration: Configuration) -> list[Series]:
    """`past` by layer and settings; the series that is measured with the present ones first."""
    settings = configuration.settings
    record = AcceptanceRecord.from_paths(configuration.file, configuration.root)
    found: dict[tuple[str, tuple[str, ...]], list[Row]] = {}
    for result, measured in past:
        row = _row(configuration.add_labels(result), measured, settings, record)
        found.setdefault((_where(result), _differing(result, settings)), []).append(row)
    made = [Series(where, differs, tuple(rows)) for (where, differs), rows in found.items()]
    return sorted(made, key=lambda one: (len(one.differs), one.where))


def to_data(all_series: Iterable[Series], baseline: str) -> dict[str, Any]:
    """The series as plain data for other programs."""
    return {
        "baseline": baseline,
        "series": [
            {
                "layer": one.where,
                "other_settings": list(one.differs),
                "results": [_row_data(row) for row in one.rows],
                "last_change": _change_data(one),
            }
            for one in all_series
        ],
    }


def _row(result: Result, measured: float, settings: Settings, record: AcceptanceRecord) -> Row:
    layers = {n: parse(n, _text(result.settings[n]), n) for n in _LAYERS if n in result.settings}
    own = settings.with_values(**layers)
    accepted, _ = record.recognition(result, own)
    report = Report.of(result, accepted=accepted)
    budgets = Budgets.configured(settings.with_values(references=()))
    check = evaluate_budgets(result, report, budgets)
    when = datetime.datetime.fromtimestamp(measured, datetime.timezone.utc).astimezone()
    return Row(when, report, check)


def _where(result: Result) -> str:
    return " / ".join(dict.fromkeys(result.model(side).layer_name for side in SIDES))


def _differing(result: Result, settings: Settings) -> tuple[str, ...]:
    known = [f.name for f in fields() if f.name in result.settings.keys() - _NOT_COMPARED]
    return tuple(
        f"{name} = {_text(result.settings[name])}"
        for name in known
        if result.settings[name] != str(getattr(settings, name))
    )


def _text(written: str) -> str:
    return "" if written == "None" else written


def _row_data(row: Row) -> dict[str, Any]:
    metrics = {name: row.metric(name) for name in METRICS}
    return {
        "result": row.result.key,
        "measured": row.measured.isoformat(timespec="seconds"),
        "candidate": row.result.candidate.reference,
        "digest": row.result.candidate.digest,
        "verdict": row.check.status,
        "reason": row.check.reason,
        **{
            f"{has.side}_only": {
                "count": has.count, "possible": has.possible, "strength": has.strength,
            }
            for has in row.report.sides
        },
        "metrics": {
            name.partition("_")[2]: found and dataclasses.asdict(found)
            for name, found in metrics.items()
        },
    }  # fmt: skip


def _change_data(one: Series) -> dict[str, Any] | None:
    change = one.last_change()
    if change is None:
        return None
    before, after = (row.result for row in one.rows[-2:])
    return {
        "before": before.key,
        "after": after.key,
        "new": [_difference_data(d, after) for d in change.new],
        "gone": [_difference_data(d, before) for d in change.gone],
        "kept": [
            {**_difference_data(now, after), "was": _difference_data(was, before)}
            for was, now in change.kept
        ],
    }


def in_short(d: Difference, result: Result) -> str:
    """What both models say where the difference fires, or else where that is."""
    if d.said is None and not any(result.predicted_tokens(d)):
        return describe_difference(d)
    label = f"{visible(d.label)} (unverified): " if d.label else ""
    return label + behaviour(d, result)


def _difference_data(d: Difference, result: Result) -> Mapping[str, Any]:
    return {
        "id": d.id, "side": d.side, "certainty": d.certainty, "strength": d.strength,
        "tokens": [t.token for t in d.tokens], "description": in_short(d, result),
    }  # fmt: skip
