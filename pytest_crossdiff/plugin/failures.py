"""How a test's report states our errors: the right status, and our words without a traceback."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import BudgetExceeded, CrossDiffError, Inconclusive

if TYPE_CHECKING:
    from collections.abc import Container

    import pytest


def restate(
    report: pytest.TestReport,
    call: pytest.CallInfo[None],
    item: pytest.Item,
    engine_error_ids: Container[int],
) -> None:
    """Amend `report` where our own exception ended the phase.

    An error of a measurement is an ERROR wherever it was raised: in the test itself, too, and under
    an xfail mark that doesn't name the exception.  A budget exceeded stays what pytest made of it.
    broken: ids of exceptions, foreseen or not, that came out of a measurement.
    """
    if call.excinfo is None:
        return
    error = call.excinfo.value
    if isinstance(error, CrossDiffError) or id(error) in engine_error_ids:
        if not _named_by_xfail(item, error):
            report.outcome = "failed"
            vars(report).pop("wasxfail", None)
        if report.when == "call":
            report.when = "setup"  # the terminal and JUnit call a failed setup an error
    ours = isinstance(error, (BudgetExceeded, CrossDiffError, Inconclusive))
    if ours or id(error) in engine_error_ids:
        told = str(error) if ours else f"{type(error).__name__}: {error}"
        vars(report)["crossdiff_problem"] = told
    if ours and not item.config.option.fulltrace:
        short = call.excinfo.getrepr(style="value", chain=False)
        if short.reprcrash is not None:
            # the session's summary has this as it is under CI, and it is below in full
            short.reprcrash.message = str(error).partition("\n")[0]
        report.longrepr = short


def shorten(report: pytest.TestReport, shown: dict[str, str]) -> None:
    """Spare the message of `report` where another test has the same; a command in it may differ.

    shown: messages with the tests that have them; this one is added.
    """
    text = report.crossdiff_problem
    same = "\n".join(line for line in text.splitlines() if not line.startswith("    pytest "))
    first = shown.setdefault(same, report.nodeid)
    if first == report.nodeid:
        return
    title = re.split(r"\n(?! )", text, maxsplit=1)[0]
    same = "verdict on the same models as" if report.when == "call" else "error as"
    told = f"{title}\nThe same {same} in {first}, where it is explained."
    vars(report)["crossdiff_problem"] = told
    entries = getattr(getattr(report.longrepr, "reprtraceback", None), "reprentries", ())
    if entries:
        entries[0].lines[:] = told.splitlines()


def reject(accepting: list[pytest.TestReport], reporter: pytest.TerminalReporter, why: str) -> None:
    """Count as errors the tests that passed in a run that was to accept differences and did not.

    accepting: reports of the tests that had something to accept.
    """
    passed = reporter.stats.get("passed", [])
    rejected = [report for report in passed if report in accepting]
    for report in rejected:
        passed.remove(report)
        report.when, report.outcome = "setup", "failed"
        report.longrepr = why
        reporter.stats.setdefault("error", []).append(report)
    if not passed:
        reporter.stats.pop("passed", None)


def _named_by_xfail(item: pytest.Item, error: BaseException) -> bool:
    kinds = [mark.kwargs.get("raises") for mark in item.iter_markers("xfail")]
    return any(isinstance(kind, (type, tuple)) and isinstance(error, kind) for kind in kinds)
