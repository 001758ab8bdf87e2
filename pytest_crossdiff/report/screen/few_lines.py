"""A pair among many: what a reader wants to know first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.report.screen.block import counted
from pytest_crossdiff.report.screen.pair import WORDS, accepted, fact, names, other_limits, status
from pytest_crossdiff.text import (
    DEFAULT_DISPLAY,
    Display,
    against,
    columns,
    cut,
    duration,
    number,
    visible,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_crossdiff.gate.check import SideCheck
    from pytest_crossdiff.report.summary import PairSummary

NAMED_AMONG_MANY = 2
"""Differences that are named of each of so many pairs."""


def few_lines(
    pair: PairSummary, root: Path, display: Display = DEFAULT_DISPLAY, *, explained: bool = False
) -> Iterator[str]:
    """The pair among others: what is within budget on two lines, of the rest what a reader wants to
    know first.  explained: as in `block`.
    """
    texts = visible(Path(pair.corpus).name)
    took = "from cache" if pair.cached else duration(pair.seconds)
    title = f"{WORDS[status(pair)]}: {names(pair, root)}, on {texts}; {took}"
    yield cut(title, display.width)
    yield from _in_one_line([*_counts_in_short(pair), *_limit_of_detection(pair)], display.width)
    found = [*other_limits(pair)]
    if status(pair) != "within":
        found += pair.workflow
        if not explained:
            told = {"output": pair.output_in_short, "replies": pair.replies_in_short}
            found += [(name, text) for name, text in told.items() if text]
    for name, text in found:
        yield from wrapped(fact(name, text), display.width, len(fact("", "")))
    if status(pair) != "within" and not explained:
        yield from (cut(line, display.width) for line in _named_among_many(pair))
    yield from accepted(pair, display)


def _in_one_line(parts: Iterable[str], width: int) -> Iterator[str]:
    """Facts side by side; what doesn't fit goes on below."""
    line = ""
    for part in parts:
        joined = f"{line}; {part}" if line else f"  {part}"
        if line and columns(joined) > width:
            yield from wrapped(line, width, 4)
            joined = f"  {part}"
        line = joined
    yield from wrapped(line, width, 4)


def _counts_in_short(pair: PairSummary) -> Iterator[str]:
    """`candidate-only 2 and 3 possible, budget 0`; a budget is named where there is something that
    counts against it.
    """
    for has in (model.has for model in reversed(pair.models)):
        judged = [s for check in pair.checks for s in check.sides if s.side == has.side]
        yield from dict.fromkeys(map(_against_budget, judged)) or [counted(has)]


def _against_budget(side: SideCheck) -> str:
    parts = [counted(side)]
    if side.count or side.exceeded or side.undecided:
        if side.max_count is not None:
            parts.append(f"budget {side.max_count}")
        if side.max_strength is not None:
            value, limit = against(side.strength, side.max_strength)
            parts.append(f"joint strength {value}, budget {limit}")
    return ", ".join(parts)


def _limit_of_detection(pair: PairSummary) -> Iterator[str]:
    """That of the model in which differences are harder to find."""
    limits = {m.has.side: m.has.limit_of_detection for m in reversed(pair.models)}
    known = {side: limit for side, limit in limits.items() if limit is not None}
    if len(known) == len(limits):
        yield f"limit of detection {number(max(known.values()))}"
    elif known:
        parts = (
            f"{'unknown' if limit is None else number(limit)} in the {side}"
            for side, limit in limits.items()
        )
        yield f"limit of detection {', '.join(parts)}"
    elif pair.controls:
        yield "limit of detection unknown"


def _named_among_many(pair: PairSummary) -> Iterator[str]:
    """The strongest of either model, or the strongest of the one that has some."""
    having = [model for model in reversed(pair.models) if model.strongest]
    for model in having:
        for words in model.strongest[: NAMED_AMONG_MANY // len(having)]:
            yield fact(model.has.side, words)
