"""The report in short, as Markdown for a step summary or a pull request."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from pytest_crossdiff.report.acceptance import describe_acceptance
from pytest_crossdiff.report.conversations import conversation_notes
from pytest_crossdiff.report.distance import model_distance
from pytest_crossdiff.report.markup import escaped
from pytest_crossdiff.report.message import detection_limits, out_of_distribution
from pytest_crossdiff.report.output.accounting import accounting_section
from pytest_crossdiff.report.output.at_risk import at_risk_section
from pytest_crossdiff.report.output.metrics import metric_headline
from pytest_crossdiff.report.output.metrics_markdown import output_section
from pytest_crossdiff.report.output.replies import in_common_section, reply_section
from pytest_crossdiff.report.output.workflow import workflow_section
from pytest_crossdiff.report.population import population_section
from pytest_crossdiff.report.screen.differences import SAID
from pytest_crossdiff.results.wording import describe_said, marked, tokens
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import number, percent, plural, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.gate.check import Check, SideCheck
    from pytest_crossdiff.report.document import Report
    from pytest_crossdiff.report.layers import LayerSide
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.sides import Side

ROWS = 10
STATUS = {
    "within": "✅ Within budget",
    "exceeded": "❌ Over budget",
    "inconclusive": "❓ Inconclusive",
    "insufficient": "⚠️ No verdict",
}


def markdown(report: Report) -> str:
    """A heading, the verdicts, a table of the strongest differences, how far it can be trusted."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    result = report.result
    models = " → ".join(
        f"{escaped(_short(model.reference))} ({model.layer_name})"
        for model in (result.baseline, result.candidate)
    )
    yield f"### crossdiff: {models}"
    for check in report.checks:
        yield from ("", *_check(check))
    if not report.checks:
        yield from ("", "Measured; no verdict was asked for.")
    yield from workflow_section(result)
    yield from in_common_section(report.in_common)
    yield from accounting_section(result)
    for side in reversed(SIDES):
        yield from _side(report, side)
    yield from population_section(report.result)
    yield from output_section(report.result)
    yield from reply_section(report.result)
    yield from at_risk_section(report.at_risk)
    if report.accepted:
        yield from ("", "Accepted before:", "")
        yield from (f"- {a.state}: {escaped(describe_acceptance(a), 400)}" for a in report.accepted)
    yield from _layers(report)
    yield ""
    yield "; ".join(_trust(report)) + "."


def _short(reference: str) -> str:
    path = PurePath(reference)
    return f"…/{path.name}" if path.is_absolute() else reference


def _check(check: Check) -> Iterator[str]:
    of = f" — {escaped(check.test)}" if check.test else ""
    yield f"**{STATUS.get(check.status, escaped(check.status))}**{of}"
    if check.reason:
        yield f"- {escaped(check.reason)}"
    yield from (f"- {_against(side)}" for side in check.sides)
    yield from (f"- {escaped(metric_headline(metric))}" for metric in check.metrics)
    yield from (f"- {escaped(of.sentence, 800)}" for of in check.population)
    yield from (f"- what would decide it: {escaped(what)}" for what in check.advice)


def _against(side: SideCheck) -> str:
    count = plural(side.count, "difference")
    budget = "" if side.max_count is None else f" (budget {side.max_count})"
    possible = f" and {side.possible} possible" if side.possible else ""
    text = f"only in the {side.side}: {_bold(count, side.over_count)}{possible}{budget}"
    limit = "" if side.max_strength is None else f" (budget {number(side.max_strength)})"
    strength = _bold(number(side.strength), side.over_strength)
    return f"{text}, joint strength {strength}{limit}"


def _bold(text: str, bold: bool) -> str:
    return f"**{text}**" if bold else text


def _side(report: Report, side: Side) -> Iterator[str]:
    found = sorted(report.result.of(side), key=lambda d: -d.strength)
    possible = len(report.result.of(side, "possible"))
    if found:
        yield from ("", f"Only in the {side}:", "")
        yield "| id | strength | density | fires on | context |"
        yield "|---|---|---|---|---|"
        yield from (_row(report, d) for d in found[:ROWS])
        yield from _predicted(report, found[:ROWS])
    if len(found) > ROWS:
        yield from ("", f"… and {len(found) - ROWS} more")
    if possible:
        yield from ("", f"Possible, not confirmed, only in the {side}: {possible}")


def _predicted(report: Report, differences: list[Difference]) -> Iterator[str]:
    """What each difference of predictions predicts, and what the other model predicts instead."""
    yield from (
        f"- {escaped(d.id)}: {escaped(describe_said(d), 300)}"
        for d in differences
        if describe_said(d)
    )
    said = [(d, *report.result.predicted_tokens(d)) for d in differences]
    said = [(d, here, instead) for d, here, instead in said if here or instead]
    if said:
        yield from ("", SAID, "")
    for d, here, instead in said:
        words = escaped(quoted(here)) or "other words"
        rest = f" instead of {escaped(quoted(instead))}" if instead else ""
        yield f"- {escaped(d.id)}: {words}{rest}"


def _layers(report: Report) -> Iterator[str]:
    if report.layers:
        yield from ("", "The same pair at each layer that was measured:", "")
        yield "| layers | only in the candidate | strength | only in the baseline | strength |"
        yield "|---|---|---|---|---|"
    for layer in report.layers:
        blocks = " → ".join(_block(side) for side in layer.sides)
        here = " (this one)" if layer.key == report.result.key else ""
        cells = [
            cell
            for side in reversed(layer.sides)
            for cell in (
                f"{side.count}" + (f" and {side.possible} possible" if side.possible else ""),
                number(side.strength),
            )
        ]
        yield f"| {blocks}{here} | {' | '.join(cells)} |"


def _block(side: LayerSide) -> str:
    """`2` of `block 2 of 12`; `output`."""
    return side.layer_name.removeprefix("block ").partition(" of ")[0]


def _row(report: Report, d: Difference) -> str:
    known = report.acceptance(d.id)
    accepted = f" ({known.state})" if known else ""
    context = escaped(marked(d.contexts[0], 80)) if d.contexts else ""
    name = escaped(d.id) + accepted
    fires = escaped(tokens(d), 60)
    return f"| {name} | {number(d.strength)} | {percent(d.density)} | {fires} | {context} |"


def _trust(report: Report) -> Iterator[str]:
    result = report.result
    fve = f"{number(result.baseline.fve)} and {number(result.candidate.fve)}"
    yield f"Variance explained of baseline and candidate: {fve}"
    yield f"held-out tokens: {result.corpus.heldout_pairs}"
    if distance := model_distance(result):
        yield distance
    if left_out := out_of_distribution(result):
        yield f"left out: {left_out}"
    yield from (escaped(note, 600) for note in report.notes)
    yield from conversation_notes(result)
    null = result.controls.null
    yield f"false positives in the null control: {'not measured' if null is None else null.found}"
    for side in report.sides:
        limits = detection_limits(result, side.side)
        yield f"limit of detection (80 % probability) in the {side.side}: {limits}"
