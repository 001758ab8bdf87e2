"""A pair on a block of lines, or on one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.gate.check import SideCheck
from pytest_crossdiff.report.message import headline
from pytest_crossdiff.report.screen.pair import (
    WORDS,
    accepted,
    fact,
    names,
    other_limits,
    short,
    status,
)
from pytest_crossdiff.text import (
    DEFAULT_DISPLAY,
    Display,
    cut,
    duration,
    number,
    percent,
    plural,
    visible,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pytest_crossdiff.report.layers import LayerSide
    from pytest_crossdiff.report.summary import PairSummary

STRONGEST = 0, 3, 10
"""Differences of each side that are named with -q, without, with -v; with -vv all."""


def brief(pair: PairSummary, root: Path) -> str:
    """The pair on one line."""
    judged = {side.side: side for check in reversed(pair.checks) for side in check.sides}
    counts = ", ".join(
        counted(judged.get(model.has.side, model.has)) for model in reversed(pair.models)
    )
    return visible(f"crossdiff: {WORDS[status(pair)]}: {names(pair, root)}: {counts}")


def counted(of: SideCheck | LayerSide) -> str:
    """`candidate-only 2 and 1 possible`, by the verdict where one was drawn."""
    text = f"{of.side}-only {of.count}" + (f" and {of.possible} possible" if of.possible else "")
    small = of.small if isinstance(of, SideCheck) else 0
    return f"{text} ({small} more in too few answers)" if small else text


def block(
    pair: PairSummary, root: Path, display: Display = DEFAULT_DISPLAY, *, explained: bool = False
) -> Iterator[str]:
    """The pair on a few lines: verdict, counts, and how good the measurement is.

    A line that is too long goes on below; one that names a difference or models is cut.  explained:
    a message has said what was found.
    """
    yield cut(visible(f"{WORDS[status(pair)]}: {names(pair, root)}"), display.width)
    for name, text in _measured(pair, root, display, explained=explained):
        yield from wrapped(fact(name, text), display.width, len(fact("", "")))
    if display.verbosity > 0 or not explained:
        yield from _strongest(pair, display)
    yield from accepted(pair, display)


def _strongest(pair: PairSummary, display: Display) -> Iterator[str]:
    for model in reversed(pair.models):
        shown = model.strongest[: display.of(*STRONGEST)]
        for line in shown:
            yield cut(fact(model.has.side, line), display.width)
        if len(model.strongest) > len(shown):
            flag = "-v" if display.verbosity < 1 else "-vv"
            yield fact("", f"… and {len(model.strongest) - len(shown)} more ({flag} shows more)")


def _measured(
    pair: PairSummary, root: Path, display: Display, *, explained: bool
) -> Iterator[tuple[str, str]]:
    yield from _counts(pair)
    yield from pair.workflow
    if display.verbosity < 1:
        yield from _inshort(pair, explained=explained)
    else:
        yield from _in_full(pair, root)
    yield "time", _took(pair)
    if display.verbosity > 0:
        yield "result", pair.key


def _took(pair: PairSummary) -> str:
    took = duration(pair.seconds)
    return f"from cache (measured in {took})" if pair.cached else took


def _inshort(pair: PairSummary, *, explained: bool) -> Iterator[tuple[str, str]]:
    """What a verdict rests on, in one sentence, and what one wants to know of a pass."""
    if pair.controls:
        yield "would find", would_find(pair)
    if not explained:
        found = {
            "output": pair.output, "accounted": pair.accounting, "references": pair.references,
            "replies": pair.replies, "model distance": pair.model_distance,
        }  # fmt: skip
        yield from ((name, text) for name, text in found.items() if text)
        yield from (("tokens", note) for note in pair.notes)


def would_find(pair: PairSummary) -> str:
    """`in the candidate differences of strength 0.0047 or more (80 % probability); in the …`."""
    known, unknown = [], []
    for has in (model.has for model in reversed(pair.models)):
        if has.limit_of_detection is None:
            unknown.append(f"in the {has.side} unknown")
        else:
            known.append(f"of strength {number(has.limit_of_detection)} in the {has.side}")
    if not known:
        return "not known how strong a difference must be: planted signals were not found"
    found = f"differences {', '.join(known)}, or stronger (80 % probability)"
    return "; ".join((found, *unknown))


def _in_full(pair: PairSummary, root: Path) -> Iterator[tuple[str, str]]:
    before, after = pair.models
    found = {
        "output": pair.output,
        "accounted": pair.accounting,
        "references": pair.references,
        "replies": pair.replies,
        "controls": pair.controls,
        "model distance": pair.model_distance,
        "left out": pair.out_of_distribution,
    }
    yield from ((name, text) for name, text in found.items() if text)
    for note in pair.notes:
        yield "tokens", note
    for note in pair.conversations:
        yield "chats", note
    yield "explained", _both(number(before.has.fve), number(after.has.fve), "variance")
    coverage = percent(before.coverage), percent(after.coverage)
    yield "aligned", _both(*coverage, "tokens")
    texts = f"{pair.train_pairs} training token pairs, {pair.heldout_pairs} held out"
    yield "texts", f"{visible(short(pair.corpus, root))}: {texts}"


def _counts(pair: PairSummary) -> Iterator[tuple[str, str]]:
    for has in (model.has for model in reversed(pair.models)):
        own = [headline(s) for check in pair.checks for s in check.sides if s.side == has.side]
        unasked = f"{plural(has.count, 'difference')}; joint strength {number(has.strength)}"
        for text in dict.fromkeys(own) or [f"{has.side}-only: {unasked}"]:
            name, _, rest = text.partition(": ")
            yield name.lower(), rest
    yield from other_limits(pair)


def _both(before: str, after: str, noun: str) -> str:
    return f"{before} of the baseline's {noun}, {after} of the candidate's"
