"""How a test's report states our errors: the right status, and our words without a traceback."""

from __future__ import annotations

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

    Couldn't measure is an ERROR wherever it was raised, also in the test itself, also under an
    xfail mark that doesn't name the exception.  A budget exceeded stays what pytest made of it.
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
            short.reprcrash.message = str(error)
        report.longrepr = short


def _named_by_xfail(item: pytest.Item, error: BaseException) -> bool:
    kinds = [mark.kwargs.get("raises") for mark in item.iter_markers("xfail")]
    return any(isinstance(kind, (type, tuple)) and isinstance(error, kind) for kind in kinds)
