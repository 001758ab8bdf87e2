"""Budgets on output metrics: how far the candidate's predictions may be from the baseline's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.results.output import Estimate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_crossdiff.results.output import OutputMetrics
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.settings import Settings

SURPRISING = "max_surprising_replies"
ARCHIVED = "the baseline, of which only an archive is here, did not read the candidate's replies"
MetricStatus = Literal["within", "exceeded", "undecided", "unmeasured"]

LARGE_KL = 0.1
"""Mean KL divergence, in nats a token, above which two models' outputs differ so much that the
difference is a result by itself, though signals planted between them are not found.  It is what
the coarsest public quantisations of SmolLM2-135M reach (Q5_0: 0.09, Q5_1: 0.17), whose most likely
token changes at a fifth of all positions; an 8-bit copy has 0.0014.
"""
LARGE_SPAN_CHANGE = 0.45
"""The same between different tokenizers, for the root mean square change of a span's log p in nats:
a small change has KL = (change of log p)² / 2 on average, and √(2 · 0.1) = 0.45.
"""


class _Metric(NamedTuple):
    """name: in words.  of: where it stands.  highest: of a limit.  at_least: a limit from below."""

    name: str
    of: Callable[[Result], Estimate | None]
    highest: float
    at_least: bool = False


def _output(of: Callable[[OutputMetrics], Estimate | None]) -> Callable[[Result], Estimate | None]:
    return lambda result: None if result.output is None else of(result.output)


def _surprising(result: Result) -> Estimate | None:
    if result.replies is None or not result.replies.surprising_candidate.total:
        return None
    share = result.replies.surprising_candidate
    return Estimate(share.value, share.low, share.high)


METRICS: Mapping[str, _Metric] = {
    "max_kl": _Metric("KL divergence (nats a token)", _output(lambda o: o.kl), 100.0),
    "max_kl_p99": _Metric(
        "KL divergence, 99th percentile (nats)",
        _output(lambda o: o.kl_percentiles.get("99")),
        100.0,
    ),
    "min_same_top": _Metric("same top token", _output(lambda o: o.same_top), 1.0, at_least=True),
    "max_probability_change": _Metric(
        "change of the actual token's probability (RMS)",
        _output(lambda o: o.probability_change_rms),
        1.0,
    ),
    "max_perplexity_ratio": _Metric(
        "perplexity ratio", _output(lambda o: o.perplexity_ratio), 1000.0
    ),
    SURPRISING: _Metric("surprising replies (share)", _surprising, 1.0),
}
"""By the setting that limits each."""


@dataclass(frozen=True)
class MetricLimit:
    """The limit of one metric.  setting: its name in `METRICS`.  origin: where it was set."""

    setting: str
    limit: float
    origin: str


@dataclass(frozen=True)
class MetricCheck:
    """A metric against its limit.

    setting: the one that limits it.  name: in words.  value, low, high: measured, with the 95 %
    interval, None where there is none.  at_least: whether the limit is one from below.
    status: exceeded when the whole interval is beyond the limit, within when all of it is inside,
    undecided when the limit lies in it, unmeasured for the `reason` given.
    """

    setting: str
    name: str
    value: float | None
    low: float | None
    high: float | None
    limit: float
    origin: str
    at_least: bool
    status: MetricStatus
    reason: str = ""


def configured_limits(settings: Settings, origin: Callable[[str], str]) -> tuple[MetricLimit, ...]:
    """The limits that the settings name."""
    given = ((name, getattr(settings, name)) for name in METRICS)
    return tuple(
        MetricLimit(name, limit, origin(name)) for name, limit in given if limit is not None
    )


def given_limits(limits: Mapping[str, float | None], caller: str) -> tuple[MetricLimit, ...]:
    """Limits written in a test.  Raises `SettingsError` for none, and for what can't be a limit."""
    given = {name: limit for name, limit in limits.items() if limit is not None}
    if not given:
        raise SettingsError(
            f"{caller} was given no limit", remedy=f"give at least one of {', '.join(limits)}"
        )
    for name, limit in given.items():
        highest = METRICS[name].highest
        valid = isinstance(limit, (int, float)) and not isinstance(limit, bool)
        if not valid or not 0 <= limit <= highest:
            raise SettingsError(
                f"{name} = {limit!r} is not valid",
                source=caller,
                remedy=f"give a number from 0 to {highest:g}",
            )
    return tuple(MetricLimit(name, limit, f"{name} of {caller}") for name, limit in given.items())


def check_metric(result: Result, limit: MetricLimit) -> MetricCheck:
    """Hold the metric that `limit` is about against it."""
    metric = METRICS[limit.setting]
    found = metric.of(result)
    if found is None and limit.setting == SURPRISING:
        unread = ARCHIVED if result.replies is not None else "measured by an earlier version"
        return _unmeasured(limit, result.no_replies or unread)
    if found is None:
        reason = result.no_output or "crossdiff_metrics = false, or measured by an earlier version"
        if result.output is not None:
            reason = "the models have different tokenizers"
        return _unmeasured(limit, reason)
    status = _status(found, limit.limit, at_least=metric.at_least)
    return MetricCheck(
        limit.setting,
        metric.name,
        found.value,
        found.low,
        found.high,
        limit.limit,
        limit.origin,
        metric.at_least,
        status,
    )


def _unmeasured(limit: MetricLimit, reason: str) -> MetricCheck:
    metric, nothing = METRICS[limit.setting], (None, None, None)
    return MetricCheck(
        limit.setting,
        metric.name,
        *nothing,
        limit.limit,
        limit.origin,
        metric.at_least,
        "unmeasured",
        reason,
    )


def large_change(result: Result) -> str:
    """Why the outputs differ much by themselves, in words; "" where they don't, or none is known.

    The lower end of the 95 % interval has to be above `LARGE_KL`, or `LARGE_SPAN_CHANGE`.
    """
    output = result.output
    if output is None:
        return ""
    if output.kl is not None:
        what, found, least = "KL divergence", output.kl, LARGE_KL
        unit = "nats a token"
    else:
        what, found, least = (
            "RMS change of log p",
            output.log_probability_change_rms,
            (LARGE_SPAN_CHANGE),
        )
        unit = "nats a span"
    if found.low is None or not found.low > least:
        return ""
    return f"{what} {found.value:.3g} {unit}, at least {found.low:.3g}, where {least:g} is large"


def _status(found: Estimate, limit: float, *, at_least: bool) -> MetricStatus:
    if found.low is None or found.high is None:
        return "undecided"
    worst, best = (found.low, found.high) if at_least else (-found.high, -found.low)
    bound = limit if at_least else -limit
    # Written so that what is not a number is never within.
    if worst >= bound:
        return "within"
    return "exceeded" if best < bound else "undecided"
