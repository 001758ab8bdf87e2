"""How much of the output's change is accounted for, in a message and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.report.markup import escaped
from pytest_crossdiff.results.wording import describe_accounting, describe_position
from pytest_crossdiff.text import Display, number, percent, visible, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.results.result import Result

LITTLE = 0.2
"""Share of the change above which the unexplained positions are shown."""
POSITIONS, MARKDOWN_POSITIONS = (0, 3, 10), 5
"""Positions that are shown with -q, without, with -v, and as Markdown."""
LABEL = "change     "


def accounting_lines(result: Result, display: Display) -> list[str]:
    """The shares, and where the unexplained rest lies where there is much of it; with -v only, else
    whether there is much of it.
    """
    if (found := result.accounting) is None:
        return []
    if display.verbosity < 1:
        return _unexplained(found.unexplained, display)
    lines = wrapped(LABEL + describe_accounting(result), display.width, len(LABEL))
    shown = found.positions[: display.of(*POSITIONS)] if found.unexplained > LITTLE else ()
    if shown:
        lines += ["", "Unexplained, most of it here:"]
        lines += [f"  {describe_position(p, display.width - 2)}" for p in shown]
        if len(found.slices) > 1:
            parts = [f"{visible(s.name)} {percent(s.unexplained)}" for s in found.slices[:5]]
            lines += wrapped(f"Unexplained by slice: {', '.join(parts)}", display.width, 2)
    return lines


def _unexplained(share: float, display: Display) -> list[str]:
    """In short: that the differences explain little, where that is so."""
    if share <= LITTLE:
        return []
    text = f"{percent(round(share, 3))} of the output's change is in none of these differences"
    return wrapped(f"{LABEL}{text} (-v shows where)", display.width, len(LABEL))


def accounting_section(result: Result) -> Iterator[str]:
    """The shares as a sentence, and the unexplained positions as a list."""
    if (found := result.accounting) is None:
        return
    yield from ("", f"{escaped(describe_accounting(result), 400)}.")
    if found.unexplained > LITTLE and found.positions:
        yield from ("", "Unexplained, most of it here:", "")
        for p in found.positions[:MARKDOWN_POSITIONS]:
            yield f"- {escaped(describe_position(p, 160), 200)} ({number(p.kl)} nats)"
