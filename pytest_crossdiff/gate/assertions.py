"""What a test can assert of a result; raises where it doesn't hold or can't be said."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import (
    BudgetExceeded,
    Inconclusive,
    InconclusiveWarning,
    InsufficientData,
)
from pytest_crossdiff.gate.recognition import without_accepted
from pytest_crossdiff.gate.verdict import judge
from pytest_crossdiff.report import message
from pytest_crossdiff.report.text import ROOM, Room

if TYPE_CHECKING:
    import re
    from collections.abc import Callable
    from pathlib import Path

    from pytest_crossdiff.gate.budgets import Budgets
    from pytest_crossdiff.gate.recognition import Recognition
    from pytest_crossdiff.gate.verdict import Verdict
    from pytest_crossdiff.result import Difference, Result


def assert_within(
    result: Result,
    budgets: Budgets,
    accepted: Recognition,
    *,
    entry: Path | None = None,
    room: Room = ROOM,
    noted: Callable[[Verdict], None] = lambda _: None,
    lenient: bool = False,
) -> None:
    """Raise `BudgetExceeded`, `Inconclusive`, or `InsufficientData` where no verdict can be drawn.

    entry: folder of the artefact, named in the message.  noted: is told of the verdict first.
    lenient: warn of what is inconclusive instead.
    """
    __tracebackhide__ = True
    verdict = judge(result, budgets, accepted)
    noted(verdict)
    _require_evidence(verdict, budgets)
    if verdict.status == "exceeded":
        raise BudgetExceeded(message.exceeded(result, verdict, entry, room, accepted))
    if verdict.status == "inconclusive":
        counted = without_accepted(result, accepted)
        text = message.inconclusive(counted, verdict, entry, room)
        if not lenient:
            raise Inconclusive(text)
        warnings.warn(InconclusiveWarning(text), stacklevel=2)


def assert_none_match(
    result: Result,
    pattern: re.Pattern[str],
    found: tuple[Difference, ...],
    budgets: Budgets,
    *,
    entry: Path | None = None,
    room: Room = ROOM,
) -> None:
    """Raise `BudgetExceeded` when `found`, the differences that match, are any.

    budgets: of these only `min_fve` counts, below which `InsufficientData` is raised.
    """
    __tracebackhide__ = True
    _require_evidence(judge(result, budgets), budgets)
    if found:
        raise BudgetExceeded(message.matched(result, pattern, found, entry, room))


def _require_evidence(verdict: Verdict, budgets: Budgets) -> None:
    __tracebackhide__ = True
    if verdict.status == "insufficient":
        raise InsufficientData(
            f"no verdict: {verdict.reason}",
            source=budgets.fve_from,
            remedy="read more tokens, train a larger dictionary (crossdiff_features) or for longer "
            "(crossdiff_steps), or lower crossdiff_min_fve",
        )
