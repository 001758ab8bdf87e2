"""What a message says of the output: metrics against their limits, slices, positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.gate.metric_budgets import METRICS
from pytest_crossdiff.results.wording import describe_output, describe_position
from pytest_crossdiff.text import (
    Display,
    against,
    number,
    rounded_down,
    rounded_up,
    visible,
    wrapped,
)

if TYPE_CHECKING:
    from pytest_crossdiff.gate.metric_budgets import MetricCheck
    from pytest_crossdiff.results.output import OutputMetrics
    from pytest_crossdiff.results.result import Result

POSITIONS = 0, 3, 10
"""Positions that are shown with -q, without, with -v."""


def metric_headline(metric: MetricCheck) -> str:
    """`SAME TOP TOKEN: 0.93 [0.91, 0.95], at least 0.97 allowed (over budget)`."""
    name = metric.name[0].upper() + metric.name[1:]
    limit = f"{'at least' if metric.at_least else 'at most'} {metric.limit:g}"
    if metric.value is None:
        return f"{name}: not measured, {limit} allowed"
    value, _ = against(metric.value, metric.limit)
    inside = metric.low is not None and metric.high is not None
    spread = f" [{number(metric.low or 0.0)}, {number(metric.high or 0.0)}]" if inside else ""
    states = {"exceeded": "over budget", "within": "within"}
    state = states.get(metric.status, "undecided: the limit lies inside the 95 % interval")
    if metric.status == "undecided" and not inside:
        state = "undecided: too few documents for an interval"
    return f"{name}: {value}{spread}, {limit} allowed ({state})"


def output(result: Result) -> str:
    """How much the predictions differ, in one line, "" where that was not measured."""
    return "" if result.output is None else describe_output(result.output)


def raise_metric_budget(metric: MetricCheck) -> str:
    """`raise max_kl to 0.024 (now 0.01, pytest.ini: crossdiff_max_kl)`: a limit that the whole
    interval is within.
    """
    now = f"now {metric.limit:g}, {metric.origin}"
    if metric.at_least:
        return f"lower {metric.setting} to {rounded_down(metric.low or 0.0):g} ({now})"
    most, highest = metric.high or 0.0, METRICS[metric.setting].highest
    if most > highest:
        return f"remove {metric.setting} ({now}): {number(most)} is more than any that can be set"
    return f"raise {metric.setting} to {min(highest, rounded_up(most)):g} ({now})"


def output_lines(result: Result, display: Display) -> list[str]:
    """The positions that change most, with -v also the metrics and the slices that do; positions
    are left out where replies say more.
    """
    if result.output is None:
        return []
    if display.verbosity < 1:
        found = result.replies is not None and any(not pair.same for pair in result.replies.pairs)
        return [] if found else _positions(result.output, display)
    lines = ["", *wrapped(f"Output: {describe_output(result.output)}", display.width, 2)]
    slices = [s for s in result.output.slices if s.kl is not None]
    if len(slices) > 1:
        slices.sort(key=lambda s: -(s.kl.value if s.kl else 0.0))
        parts = [f"{visible(s.name)} {number(s.kl.value)}" for s in slices[:5] if s.kl]
        lines += wrapped(f"KL by slice: {', '.join(parts)}", display.width, 2)
    return [*lines, *_positions(result.output, display)]


def _positions(output: OutputMetrics, display: Display) -> list[str]:
    positions = output.largest[: display.of(*POSITIONS)]
    lines = ["", "The predictions differ most here:"] if positions else []
    return [*lines, *(f"  {describe_position(p, display.width - 2)}" for p in positions)]
