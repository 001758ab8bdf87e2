"""Budgets that results are just within, as lines of a configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.gate.metric_budgets import METRICS, MetricLimit, check_metric
from pytest_crossdiff.gate.recognition import without
from pytest_crossdiff.gate.verdict import is_small
from pytest_crossdiff.text import number, rounded_down, rounded_up

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_crossdiff.report.document import Report
    from pytest_crossdiff.results.result import Result


def counted(report: Report, least: float) -> Result:
    """The result as a verdict counts it: without what was accepted, and without differences that
    change what is said in less than this share of the answers.
    """
    return without(report.counted, lambda difference: is_small(difference, least))


def proposal(results: Sequence[Result]) -> Iterator[str]:
    """What each of the results has at most, and not more."""
    keys = " and ".join(result.key[:12] for result in results)
    what = f"Result {keys} is" if len(results) == 1 else f"Results {keys} are"
    yield f"# {what} just within these. Read what they allow: crossdiff show"
    for side in ("candidate", "baseline"):
        count, strength = 0, 0.0
        for result in results:
            sure, possible = result.of(side), result.of(side, "possible")
            if possible:
                yield f"# {len(sure)} confirmed and {len(possible)} possible"
            count = max(count, len(sure) + len(possible))
            strength = max(
                strength, result.total_strength(side) + sum(d.strength for d in possible)
            )
        yield f"crossdiff_max_{side}_only = {count}"
        if count:
            yield f"crossdiff_max_{side}_only_strength = {min(1.0, rounded_up(strength)):g}"
    yield from _metrics(results)


def _metrics(results: Sequence[Result]) -> Iterator[str]:
    """Limits on the output and on replies that hold the whole 95 % interval of each."""
    for setting, metric in METRICS.items():
        found = [check_metric(result, MetricLimit(setting, 0.0, "")) for result in results]
        if metric.at_least:
            lows = [check.low for check in found if check.low is not None]
            if lows:
                yield f"crossdiff_{setting} = {rounded_down(min(lows)):g}"
        elif highs := [check.high for check in found if check.high is not None]:
            most = max(highs)
            limit = min(metric.highest, rounded_up(most)) if most > 0 else 0.0
            if most <= limit:
                yield f"crossdiff_{setting} = {limit:g}"
            else:
                yield f"# no crossdiff_{setting}: {number(most)} is more than any that can be set"
