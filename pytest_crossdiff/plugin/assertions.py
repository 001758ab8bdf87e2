"""What a test can assert of a result; raises where it doesn't hold or can't be said."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import (
    BudgetExceeded,
    Inconclusive,
    InconclusiveWarning,
    InsufficientData,
)
from pytest_crossdiff.gate.check import Check, evaluate_budgets, evaluate_equivalence
from pytest_crossdiff.report import message
from pytest_crossdiff.report.screen.pointers import NOWHERE, Pointers
from pytest_crossdiff.text import DEFAULT_DISPLAY, Display

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from pytest_crossdiff.gate.budgets import Budgets
    from pytest_crossdiff.gate.patterns import MatchingReplies
    from pytest_crossdiff.gate.verdict import Evidence
    from pytest_crossdiff.report.document import Report
    from pytest_crossdiff.results.difference import Difference

_REMEDIES: dict[Evidence, str] = {
    "dictionary": "read more tokens, train a larger dictionary (crossdiff_features) or for longer "
    "(crossdiff_steps), or lower crossdiff_min_fve",
    "controls": "read more text (crossdiff_tokens, more documents), or train a larger dictionary "
    "(crossdiff_features) or for longer (crossdiff_steps)",
    "metrics": "set crossdiff_metrics = true (for replies, crossdiff_replies above 0), or remove "
    "the budget where it can't be measured",
    "references": "name more references, or unset crossdiff_references to be judged without",
}


def assert_within(
    report: Report,
    budgets: Budgets,
    *,
    pointers: Pointers = NOWHERE,
    display: Display = DEFAULT_DISPLAY,
    on_check: Callable[[Check], None] = lambda _: None,
    lenient: bool = False,
) -> None:
    """Raise `BudgetExceeded`, `Inconclusive`, or `InsufficientData` where no verdict can be drawn.

    pointers: what the message points to.  on_check: called with the verdict first.
    lenient: warn of what is inconclusive instead.
    """
    __tracebackhide__ = True
    check = evaluate_budgets(
        report.result, report, budgets, lenient=lenient, command=pointers.command
    )
    on_check(check)
    _require_evidence(check, budgets)
    if check.status == "exceeded":
        raise BudgetExceeded(message.exceeded(report, check, pointers, display))
    if check.status == "inconclusive":
        text = message.inconclusive(report, check, pointers, display)
        if not lenient:
            raise Inconclusive(text)
        warnings.warn(InconclusiveWarning(text), stacklevel=2)


def assert_equivalent(
    report: Report,
    budgets: Budgets,
    *,
    pointers: Pointers = NOWHERE,
    display: Display = DEFAULT_DISPLAY,
    on_check: Callable[[Check], None] = lambda _: None,
) -> None:
    """Raise `BudgetExceeded` unless every metric of `budgets` is shown to be inside its limit, and
    `InsufficientData` where one was not measured.

    pointers, on_check: as for `assert_within`.
    """
    __tracebackhide__ = True
    check = evaluate_equivalence(report.result, budgets)
    on_check(check)
    if check.status == "insufficient":
        raise InsufficientData(
            f"no verdict: {check.reason}",
            source="assert_equivalent",
            remedy="compare two models that predict the next token with one vocabulary, with "
            "crossdiff_metrics = true",
        )
    if check.status == "exceeded":
        raise BudgetExceeded(message.not_equivalent(report, check, pointers, display))


def assert_none_match(
    report: Report,
    pattern: re.Pattern[str],
    found: tuple[Difference, ...],
    said: tuple[MatchingReplies, ...],
    budgets: Budgets,
    *,
    pointers: Pointers = NOWHERE,
    display: Display = DEFAULT_DISPLAY,
    on_check: Callable[[Check], None] = lambda _: None,
) -> None:
    """Raise `BudgetExceeded` when `found`, the differences that match, are any, or replies that
    match are `said`.

    budgets: of these only `min_fve` counts, below which `InsufficientData` is raised.
    on_check: called with the verdict.
    """
    __tracebackhide__ = True
    check = evaluate_budgets(report.result, report, budgets)
    if check.status == "insufficient" and not said:
        on_check(replace(check, sides=()))
    if not said:  # replies are what they are, whatever the dictionary can tell
        _require_evidence(check, budgets)
    if not found and not said and check.status == "exceeded" and check.reason:
        raise InsufficientData(
            f"no verdict on the pattern: {check.reason}",
            remedy="read the positions with the largest change in the report",
        )
    if found or said:
        text = message.matched(report.result, pattern, found, said, pointers, display)
        reason = message.matching_headlines(pattern, found, said)[0]
        on_check(Check("", "exceeded", False, reason, ()))
        raise BudgetExceeded(text)


def _require_evidence(check: Check, budgets: Budgets) -> None:
    __tracebackhide__ = True
    if check.status == "insufficient":
        unmeasured = [metric.origin for metric in check.metrics if metric.status == "unmeasured"]
        sources = {
            "dictionary": budgets.fve_from,
            "controls": "crossdiff_controls",
            "metrics": unmeasured[0] if unmeasured else "",
            "references": "crossdiff_references",
        }
        raise InsufficientData(
            f"no verdict: {check.reason}",
            source="; ".join(dict.fromkeys(sources[what] for what in check.lacking)),
            remedy="; ".join(_REMEDIES[what] for what in check.lacking),
        )
