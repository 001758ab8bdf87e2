"""The text of a failure: the verdict, the worst differences, where they fire, what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.report.acceptance import not_counted
from pytest_crossdiff.report.output.accounting import accounting_lines
from pytest_crossdiff.report.output.metrics import (
    metric_headline,
    output_lines,
    raise_metric_budget,
)
from pytest_crossdiff.report.output.replies import most_surprising, reply_lines
from pytest_crossdiff.report.output.workflow import workflow_lines
from pytest_crossdiff.report.population import population_headlines, population_lines
from pytest_crossdiff.results.wording import describe_said, interval, marked, tokens
from pytest_crossdiff.text import (
    DEFAULT_DISPLAY,
    MARKS,
    Display,
    against,
    columns,
    cut,
    number,
    percent,
    plural,
    quoted,
    visible,
    wrapped,
)

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pytest_crossdiff.gate.check import Check, SideCheck
    from pytest_crossdiff.gate.patterns import MatchingReplies
    from pytest_crossdiff.report.document import Report
    from pytest_crossdiff.results.difference import Context, Difference
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.sides import Side

ROWS = 10, 10, 30
"""Differences in a table with -q, without, with -v; with -vv all, as below."""
DIFFERENCES_WITH_CONTEXTS = 0, 3, 10
"""Differences of which more contexts are shown."""
CONTEXTS = 2, 2, 4
"""Contexts after the first."""
NAMED = 3
"""Ids in a command that is proposed."""
REWRITTEN_NOTE = (
    "rewritten: the other model represents these tokens too, but writes nothing similar there"
)
SAID = "What its model predicts after these tokens, and what the other model predicts instead:"
_HEADERS = ("id", "strength", "density", "exclusivity", "fires on", "context")


def exceeded(
    report: Report, check: Check, entry: Path | None, display: Display = DEFAULT_DISPLAY
) -> str:
    """The message of a verdict on `report` that some budget is exceeded.

    No line but the first is wider than `display.width`, except the one with the folder's name.
    """
    result = report.counted
    over = [side for side in check.sides if side.exceeded]
    over_metrics = [metric for metric in check.metrics if metric.status == "exceeded"]
    by_references = any(of.status == "exceeded" for of in check.population)
    beside = bool(over_metrics) or by_references
    lines = population_headlines(check) if by_references else []
    lines += [f"TOO DIFFERENT: {check.reason}"] if check.reason and not beside else []
    lines += [metric_headline(metric) for metric in over_metrics]
    lines += [headline(side) for side in over]
    lines += [check.reason] if check.reason and beside else []
    lines += [headline(side) + " (within)" for side in check.sides if not side.exceeded]
    lines += [metric_headline(m) for m in check.metrics if m not in over_metrics]
    lines += [] if by_references else population_headlines(check)
    lines = [part for line in lines for part in wrapped(line, display.width, 2)]
    lines += [*_pair(result), *_notes(report, display), *workflow_lines(result, display)]
    lines += accounting_lines(result, display)
    lines += population_lines(result, check, display)
    if check.reason or over_metrics:
        lines += output_lines(result, display)
        lines += reply_lines(most_surprising(result), display)
    for side in over:
        title = f"Only in the {side.side}, strongest first:"
        lines += _section(title, _strongest(result.of(side.side)), result, display)
    known = not_counted(report.accepted)
    lines += (part for line in known for part in wrapped(line, display.width, 2))
    counted = [d for side in over for d in _strongest(result.of(side.side))]
    todo = [*_accept(counted)]
    if counted:
        todo.insert(0, f"read the texts: the difference fires on each {MARKS[0]}token{MARKS[1]}")
    todo += [f"wanted: {remedy}" for side in over for remedy in _raise_budget(side)]
    if by_references:
        todo.append("wanted: add accepted models in which this is so to crossdiff_references")
    todo += [f"wanted: {raise_metric_budget(metric)}" for metric in over_metrics]
    todo += ["not wanted: fix or retrain the candidate, then run again"]
    return "\n".join([*lines, *_todo("What to do:", todo, display), *_artefact(entry)])


def inconclusive(
    report: Report, check: Check, entry: Path | None, display: Display = DEFAULT_DISPLAY
) -> str:
    """The message of a verdict that the evidence doesn't decide, as wide as `exceeded`."""
    result = report.counted
    undecided = [side for side in check.sides if side.undecided]
    lines = [metric_headline(m) for m in check.metrics if m.status == "undecided"]
    lines += [headline(side) + " (undecided)" for side in undecided]
    lines += [headline(side) + " (within)" for side in check.sides if not side.undecided]
    lines += population_headlines(check)
    lines = [part for line in lines for part in wrapped(line, display.width, 2)]
    lines += [*_pair(result), *_notes(report, display), *workflow_lines(result, display)]
    lines += accounting_lines(result, display)
    lines += population_lines(result, check, display)
    for side in undecided:
        title = f"Possible, only in the {side.side}, strongest first:"
        possible = _strongest(result.of(side.side, "possible"))
        lines += _section(title, possible, result, display)
        for difference in possible[: display.of(*ROWS)]:
            doubt = f"{visible(difference.id)} is not confirmed: {visible(difference.doubt)}"
            lines += wrapped(doubt, display.width, 2)
    todo = [
        *check.advice,
        "or let inconclusive verdicts pass with a warning: crossdiff_inconclusive = warn",
    ]
    return "\n".join([*lines, *_todo("What would decide it:", todo, display), *_artefact(entry)])


def not_equivalent(
    report: Report, check: Check, entry: Path | None, display: Display = DEFAULT_DISPLAY
) -> str:
    """The message that the two outputs are not shown to be the same, as wide as `exceeded`."""
    result = report.result
    failed = [metric for metric in check.metrics if metric.status != "within"]
    lines = [f"NOT EQUIVALENT: {metric_headline(metric)}" for metric in failed]
    lines += [metric_headline(m) for m in check.metrics if m.status == "within"]
    lines = [part for line in lines for part in wrapped(line, display.width, 2)]
    lines += [*_pair(result), *output_lines(result, display)]
    todo = []
    if any(metric.status == "exceeded" for metric in failed):
        todo.append("wanted: raise the limit")
    if any(metric.status == "undecided" for metric in failed):
        todo.append("where the limit lies inside the interval: more held-out text decides it")
    return "\n".join([*lines, *_todo("What to do:", todo, display), *_artefact(entry)])


def controls(result: Result) -> str:
    """`0 false positives in the null control; limit of detection …`, "" without controls."""
    if not result.controls.planted_signals:
        return ""
    null = result.controls.null
    parts = []
    if null is not None:
        parts.append(f"{plural(null.found, 'false positive')} in the null control")
    limits = [detection_limits(result, side) for side in ("baseline", "candidate")]
    parts.append(f"limit of detection {limits[0]} in the baseline, {limits[1]} in the candidate")
    return "; ".join(parts)


def detection_limits(result: Result, side: Side) -> str:
    """`0.003 on 0.3 % of the tokens, 0.001 on 1 %`: the limit of detection at each density."""
    limits = result.controls.limits(side)
    parts = [
        f"{'none' if limit.strength is None else number(limit.strength)} on "
        f"{percent(limit.density)}"
        for limit in limits
    ]
    return ", ".join(parts).replace(" %", " % of the tokens", 1) or "not measured"


def out_of_distribution(result: Result) -> str:
    """How many texts were left out as out of distribution, "" where none was."""
    left_out = result.corpus.out_of_distribution
    if not left_out:
        return ""
    texts = plural(left_out, "out-of-distribution text")
    return f"{texts}: both models predict them worse than token frequencies do"


def matched(
    result: Result,
    pattern: re.Pattern[str],
    found: Iterable[Difference],
    said: Iterable[MatchingReplies],
    entry: Path | None,
    display: Display = DEFAULT_DISPLAY,
) -> str:
    """The message that `found`, or what is `said`, match `pattern`, as wide as `exceeded`."""
    found, said = _strongest(found), list(said)
    shown = visible(pattern.pattern)
    lines = [
        f"MATCHING {shown!r}: {len(of.pairs)} replies of the {of.side} and not of the other model, "
        f"{of.only_other} the other way round (p = {of.p_value:.2g})"
        for of in said
    ]
    if found or not said:
        lines.append(f"MATCHING {shown!r}: {plural(len(found), 'difference')}, none allowed")
    lines = [part for line in lines for part in wrapped(line, display.width, 2)]
    lines += _pair(result)
    for of in said:
        lines += reply_lines(of.pairs, display)
    for side in ("candidate", "baseline"):
        of_side = [d for d in found if d.side == side]
        if of_side:
            lines += _section(f"Only in the {side}, strongest first:", of_side, result, display)
    todo = [
        *(
            [f"read the texts: the difference fires on each {MARKS[0]}token{MARKS[1]}"]
            if found
            else []
        ),
        *_accept(found),
        "wanted: narrow the pattern, or drop the assertion",
        "not wanted: fix or retrain the candidate, then run again",
    ]
    return "\n".join([*lines, *_todo("What to do:", todo, display), *_artefact(entry)])


def headline(side: SideCheck) -> str:
    """`CANDIDATE-ONLY: 5 differences, budget 2; joint strength 0.031, budget 0.01`."""
    text = f"{side.side.upper()}-ONLY: {plural(side.count, 'difference')}"
    if side.possible:
        text += f" and {side.possible} possible"
    if side.max_count is not None:
        text += f", budget {side.max_count}"
    if side.small:
        text += f"; {side.small} more in too few answers to count"
    if side.max_strength is None:
        return f"{text}; joint strength {number(side.strength)}"
    value, limit = against(side.strength, side.max_strength)
    return f"{text}; joint strength {value}, budget {limit}"


def _pair(result: Result) -> list[str]:
    return [
        "",
        f"baseline   {visible(result.baseline.reference)}, {result.baseline.layer_name}",
        f"candidate  {visible(result.candidate.reference)}, {result.candidate.layer_name}",
    ]


def _notes(report: Report, display: Display) -> Iterator[str]:
    """What else may have caused the differences."""
    for note in report.notes:
        yield from wrapped(f"note       {note}", display.width, len("note       "))


def _strongest(differences: Iterable[Difference]) -> list[Difference]:
    return sorted(differences, key=lambda d: -d.strength)


def _section(
    title: str, differences: list[Difference], result: Result, display: Display
) -> Iterator[str]:
    shown = differences[: display.of(*ROWS)]
    yield from ("", title, *_table(shown, display.width).splitlines())
    if len(differences) > len(shown):
        flag = "-v" if display.verbosity < 1 else "-vv"
        yield f"… and {len(differences) - len(shown)} more ({flag} shows more)"
    if any(d.kind == "rewritten" for d in shown):
        yield from ("", *wrapped(REWRITTEN_NOTE, display.width, 2))
    told = [(d, sentence) for d in shown if (sentence := describe_said(d))]
    if told:
        yield ""
    for d, sentence in told:
        yield from wrapped(f"  {visible(d.id)}  {sentence}", display.width, 6)
    predicted_tokens = [d for d in shown if any(result.predicted_tokens(d))]
    if predicted_tokens:
        yield from ("", *wrapped(SAID, display.width, 2))
    for d in predicted_tokens:
        here, instead = map(quoted, result.predicted_tokens(d))
        words = f"{here or 'other words'} instead of {instead}" if instead else here
        yield cut(f"  {visible(d.id)}  {words}", display.width)
    named = [d for d in shown if d.label]
    if named:
        yield from ("", "Labels, unverified:")
        yield from (cut(f"  {visible(d.id)}  {visible(d.label)}", display.width) for d in named)
    for difference in differences[: display.of(*DIFFERENCES_WITH_CONTEXTS)]:
        more = _more_contexts(difference)[: display.of(*CONTEXTS)]
        if more:
            yield from ("", f"{visible(difference.id)} fires here too:")
            yield from (f"  {marked(context, display.width - 2)}" for context in more)


def _todo(title: str, items: Iterable[str], display: Display) -> list[str]:
    lines = [part for item in items for part in wrapped(f"- {item}", display.width, 2)]
    return ["", title, *lines]


def _accept(differences: list[Difference]) -> Iterator[str]:
    """How to accept them.  The command names no more than a few, for each is to be read first."""
    if differences:
        ids = ",".join(visible(d.id) for d in differences[:NAMED])
        ids += ",…" * (len(differences) > NAMED)
        yield f'wanted: accept with --crossdiff-accept={ids} --crossdiff-reason="…"'


def _table(differences: list[Difference], width: int) -> str:
    from tabulate import tabulate

    rows = [_row(d) for d in differences]
    widths = [max(columns(row[i]) for row in (_HEADERS, *rows)) for i in range(5)]
    left = width - sum(widths[:4]) - 2 * (len(_HEADERS) - 1)
    widths[4] = min(widths[4], max(len(_HEADERS[4]), left // 3))
    widths.append(max(20, left - widths[4]))
    cells = [
        (*row[:4], cut(row[4], widths[4]), _first_context(d, widths[5]))
        for row, d in zip(rows, differences, strict=True)
    ]
    # The headers go in as a row: as headers, tabulate would give each two columns more.
    rule = tuple("-" * (n if i < 5 else len(_HEADERS[5])) for i, n in enumerate(widths))
    return tabulate([_HEADERS, rule, *cells], tablefmt="plain", disable_numparse=True)


def _row(d: Difference) -> tuple[str, str, str, str, str]:
    return visible(d.id), number(d.strength), percent(d.density), interval(d), tokens(d)


def _first_context(difference: Difference, width: int) -> str:
    return marked(difference.contexts[0], width) if difference.contexts else ""


def _more_contexts(difference: Difference) -> list[Context]:
    """The contexts after the first, those from other parts of the range before the rest."""
    rest = difference.contexts[1:]
    bands = {c.band: c for c in reversed(rest)}
    varied = [c for c in rest if bands[c.band] is c]
    return varied + [c for c in rest if c not in varied]


def _raise_budget(side: SideCheck) -> Iterator[str]:
    if side.over_count:
        yield f"raise the budget to {side.count} (now {side.max_count}, {side.count_from})"
    if side.over_strength:
        value, limit = against(side.strength, side.max_strength or 0.0)
        yield f"raise the strength budget above {value} (now {limit}, {side.strength_from})"


def _artefact(entry: Path | None) -> list[str]:
    return [] if entry is None else [f"- all texts and numbers: {entry}"]
