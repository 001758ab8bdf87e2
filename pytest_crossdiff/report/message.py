"""The text of a failure: the verdict, the worst differences, where they fire, what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.gate.metric_budgets import SURPRISING
from pytest_crossdiff.report.acceptance import not_counted
from pytest_crossdiff.report.output.accounting import accounting_lines
from pytest_crossdiff.report.output.metrics import (
    metric_headline,
    output_lines,
    raise_metric_budget,
)
from pytest_crossdiff.report.output.replies import (
    in_common_lines,
    most_surprising,
    reply_lines,
)
from pytest_crossdiff.report.output.workflow import workflow_lines
from pytest_crossdiff.report.population import population_headlines, population_lines
from pytest_crossdiff.report.screen.differences import section, strongest_first
from pytest_crossdiff.report.screen.pointers import NOWHERE, Pointers
from pytest_crossdiff.report.screen.todo import accept, raise_budget, read_more, todo
from pytest_crossdiff.text import (
    DEFAULT_DISPLAY,
    MARKS,
    Display,
    against,
    number,
    percent,
    plural,
    visible,
    wrapped,
)

if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_crossdiff.gate.check import Check, SideCheck
    from pytest_crossdiff.gate.patterns import MatchingReplies
    from pytest_crossdiff.report.document import Report
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.sides import Side

READ = f"read the texts ({MARKS[0]}token{MARKS[1]} marks where the difference is)"
INDENT = 11


def exceeded(
    report: Report, check: Check, pointers: Pointers = NOWHERE, display: Display = DEFAULT_DISPLAY
) -> str:
    """The message of a verdict on `report` that some budget is exceeded.

    No line but the first is wider than `display.width`, except commands and names of files.
    """
    result = report.counted
    over = [side for side in check.sides if side.exceeded]
    over_metrics = [metric for metric in check.metrics if metric.status == "exceeded"]
    by_references = any(of.status == "exceeded" for of in check.population)
    lines = [*_headlines(check, over, display), *_measured(report, check, display)]
    if check.reason or over_metrics:
        lines += output_lines(result, display)
        lines += in_common_lines(report.in_common, display)
        lines += reply_lines(most_surprising(result), display)
    for side in over:
        title = f"Only in the {side.side}, strongest first:"
        lines += section(title, strongest_first(result.of(side.side)), result, display)
    known = not_counted(report.accepted)
    lines += (part for line in known for part in wrapped(line, display.width, 2))
    counted = [d for side in over for d in strongest_first(result.of(side.side))]
    items = [*accept(counted, result, pointers, f"wanted: {READ}")]
    short = [side for side in check.sides if side.exceeded or side.undecided]
    items += [f"wanted: {remedy}" for side in short for remedy in raise_budget(side)]
    if by_references:
        items.append("wanted: add accepted models in which this is so to crossdiff_references")
    # Where the models are too different no limit in between would be enough.
    unmet = [
        m
        for m in check.metrics
        if m in over_metrics or (m.status == "undecided" and not check.reason)
    ]
    items += [f"wanted: {raise_metric_budget(metric)}" for metric in unmet if metric.high]
    items.append("not wanted: fix or retrain the candidate, then run again")
    return _text(lines, "What to do:", items, pointers, display)


def _headlines(check: Check, over: list[SideCheck], display: Display) -> list[str]:
    """What is over a limit first, then what is within."""
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
    return [part for line in lines for part in wrapped(line, display.width, 2)]


def _measured(report: Report, check: Check, display: Display) -> list[str]:
    """The pair, what else may have caused the differences, and how much they explain."""
    result = report.counted
    return [
        *_pair(result),
        *_notes(report, display),
        *workflow_lines(result, display),
        *accounting_lines(result, display),
        *population_lines(result, check, display),
    ]


def _text(
    lines: list[str], title: str, items: list[str], pointers: Pointers, display: Display
) -> str:
    return "\n".join([*lines, *todo(title, items, display), *read_more(pointers, display)])


def inconclusive(
    report: Report, check: Check, pointers: Pointers = NOWHERE, display: Display = DEFAULT_DISPLAY
) -> str:
    """The message of a verdict that the evidence doesn't decide, as wide as `exceeded`."""
    result = report.counted
    undecided = [side for side in check.sides if side.undecided]
    lines = [metric_headline(m) for m in check.metrics if m.status == "undecided"]
    lines += [headline(side) + " (undecided)" for side in undecided]
    lines += [headline(side) + " (within)" for side in check.sides if not side.undecided]
    lines += population_headlines(check)
    lines = [part for line in lines for part in wrapped(line, display.width, 2)]
    lines += _measured(report, check, display)
    if any(m.status == "undecided" and m.setting == SURPRISING for m in check.metrics):
        lines += in_common_lines(report.in_common, display)
        lines += reply_lines(most_surprising(result), display)
    possible = [d for side in undecided for d in strongest_first(result.of(side.side, "possible"))]
    for side in undecided:
        title = f"Possible, only in the {side.side}, strongest first:"
        lines += section(title, [d for d in possible if d.side == side.side], result, display)
    items = [
        *check.advice,
        *accept(possible, result, pointers, f"or {READ}"),
        "or let inconclusive verdicts pass with a warning: crossdiff_inconclusive = warn",
    ]
    return _text(lines, "What would decide it:", items, pointers, display)


def not_equivalent(
    report: Report, check: Check, pointers: Pointers = NOWHERE, display: Display = DEFAULT_DISPLAY
) -> str:
    """The message that the two outputs are not shown to be the same, as wide as `exceeded`."""
    result = report.result
    failed = [metric for metric in check.metrics if metric.status != "within"]
    lines = [f"NOT EQUIVALENT: {metric_headline(metric)}" for metric in failed]
    lines += [metric_headline(m) for m in check.metrics if m.status == "within"]
    lines = [part for line in lines for part in wrapped(line, display.width, 2)]
    lines += [*_pair(result), *output_lines(result, display)]
    items = [f"wanted: {raise_metric_budget(metric)}" for metric in failed if metric.high]
    if any(metric.status == "undecided" for metric in failed):
        items.append("where the limit lies inside the interval: more held-out text decides it")
    return _text(lines, "What to do:", items, pointers, display)


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
    pointers: Pointers = NOWHERE,
    display: Display = DEFAULT_DISPLAY,
) -> str:
    """The message that `found`, or what is `said`, match `pattern`, as wide as `exceeded`."""
    found, said = strongest_first(found), list(said)
    headlines = matching_headlines(pattern, found, said)
    lines = [part for line in headlines for part in wrapped(line, display.width, 2)]
    lines += _pair(result)
    for of in said:
        lines += reply_lines(of.pairs, display)
    for side in ("candidate", "baseline"):
        of_side = [d for d in found if d.side == side]
        if of_side:
            lines += section(f"Only in the {side}, strongest first:", of_side, result, display)
    items = [
        *accept(found, result, pointers, f"wanted: {READ}"),
        "wanted: narrow the pattern, or drop the assertion",
        "not wanted: fix or retrain the candidate, then run again",
    ]
    return _text(lines, "What to do:", items, pointers, display)


def matching_headlines(
    pattern: re.Pattern[str], found: Sequence[Difference], said: Sequence[MatchingReplies]
) -> list[str]:
    """What matches, in a line for replies and one for differences."""
    shown = visible(pattern.pattern)
    lines = [
        f"MATCHING {shown!r}: {len(of.pairs)} replies of the {of.side} and not of the other model, "
        f"{of.only_other} the other way round (p = {of.p_value:.2g})"
        for of in said
    ]
    if found or not said:
        lines.append(f"MATCHING {shown!r}: {plural(len(found), 'difference')}, none allowed")
    return lines


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
        yield from wrapped(f"{'note':<{INDENT}}{note}", display.width, INDENT)
