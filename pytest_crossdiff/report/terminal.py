"""The header and the summary section of a test run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.gate.check import SideCheck
from pytest_crossdiff.report.acceptance import describe_acceptance, warnings
from pytest_crossdiff.report.message import headline
from pytest_crossdiff.report.output.metrics import metric_headline
from pytest_crossdiff.settings import fields
from pytest_crossdiff.settings.parsing import parse
from pytest_crossdiff.settings.registration import session_sources
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
    from collections.abc import Iterable, Iterator

    import pytest

    from pytest_crossdiff.gate.check import Check
    from pytest_crossdiff.report.layers import LayerSide
    from pytest_crossdiff.report.summary import PairSummary

STRONGEST = 0, 3, 10
"""Differences of each side that are named with -q, without, with -v; with -vv all."""
MOST_BLOCKS = 3
"""Pairs that have a block each without -v, such as one pair at three layers; of more than that each
has a few lines."""
WORDS = {
    "exceeded": "OVER BUDGET",
    "insufficient": "NO VERDICT",
    "inconclusive": "INCONCLUSIVE",
    "within": "within budget",
    "": "measured",
}
"""What each status of a verdict is called on the terminal."""
_COLOURS = {
    "exceeded": "red",
    "insufficient": "red",
    "inconclusive": "yellow",
    "within": "green",
    "": "cyan",
}


def header(config: pytest.Config) -> list[str]:
    """One line for each place that sets something, with the values as they are written there."""
    defaults = {f.name: f.default for f in fields()}
    seen: set[str] = set()
    lines = []
    for layer in session_sources(config):
        names = [n for n in defaults if n in layer.values and n not in seen]
        seen.update(names)
        shown = [
            f"{name}={visible(str(layer.values[name]))}"
            for name in names
            if not _is_default(name, layer.values[name], defaults[name])
        ]
        if shown:
            lines.append(f"crossdiff ({layer.kind}): {', '.join(shown)}")
    return lines


def write_summary(
    reporter: pytest.TerminalReporter, pairs: Iterable[PairSummary], root: Path, width: int
) -> None:
    """A block for each pair, a few lines where there are many pairs; with -v and -vv longer blocks,
    with -q a line.

    The reporter leaves colours out where there is no terminal, and where NO_COLOR is set.
    """
    pairs = list(pairs)
    display = Display(width, reporter.config.get_verbosity())
    told = _tests_with_message(reporter)
    if display.verbosity < 0:
        for pair in pairs:
            reporter.write_line(brief(pair, root), **{_COLOURS[status(pair)]: True})
    else:
        reporter.write_sep("=", "crossdiff")
        write = few_lines if len(pairs) > MOST_BLOCKS and display.verbosity < 1 else block
        for at, pair in enumerate(pairs):
            if at and write is block:
                reporter.write_line("")
            failed = {check.test for check in pair.checks if not check.passed and check.sides}
            title, *lines = write(pair, root, display, explained=not told.isdisjoint(failed))
            reporter.write_line(title, bold=True, **{_COLOURS[status(pair)]: True})
            for line in lines:
                reporter.write_line(line)
    for text in warnings(a for pair in pairs for a in pair.accepted):
        for line in wrapped(visible(f"crossdiff: {text}"), width, 2):
            reporter.write_line(line, yellow=True)


def _tests_with_message(reporter: pytest.TerminalReporter) -> set[str]:
    """The tests of which pytest has printed why they failed."""
    option = reporter.config.option
    if option.tbstyle == "no":
        return set()
    kinds = ["failed", "error", *(["xfailed"] if getattr(option, "xfail_tb", False) else [])]
    return {report.nodeid for kind in kinds for report in reporter.stats.get(kind, ())}


def status(pair: PairSummary) -> str:
    """The worst verdict that was drawn on the pair, "" when none was."""
    drawn = {check.status for check in pair.checks}
    worst_first = ("exceeded", "insufficient", "inconclusive", "within")
    return next((s for s in worst_first if s in drawn), "")


def brief(pair: PairSummary, root: Path) -> str:
    """The pair on one line."""
    judged = {side.side: side for check in reversed(pair.checks) for side in check.sides}
    counts = ", ".join(
        _counted(judged.get(model.has.side, model.has)) for model in reversed(pair.models)
    )
    return visible(f"crossdiff: {WORDS[status(pair)]}: {_names(pair, root)}: {counts}")


def _counted(of: SideCheck | LayerSide) -> str:
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
    yield cut(visible(f"{WORDS[status(pair)]}: {_names(pair, root)}"), display.width)
    for name, text in _measured(pair, root, display, explained=explained):
        yield from wrapped(_line(name, text), display.width, len(_line("", "")))
    if display.verbosity > 0 or not explained:
        yield from _strongest(pair, display)
    yield from _accepted(pair, display)


def few_lines(
    pair: PairSummary, root: Path, display: Display = DEFAULT_DISPLAY, *, explained: bool = False
) -> Iterator[str]:
    """The pair among others: what is within budget on two or three lines, of the rest what a reader
    wants to know first.  explained: as in `block`.
    """
    texts = visible(Path(pair.corpus).name)
    yield cut(f"{WORDS[status(pair)]}: {_names(pair, root)}, on {texts}", display.width)
    differences, measured = _found_briefly(pair)
    if status(pair) == "within":
        found = [differences, *_other_limits(pair), measured]
    else:
        found = [*_counts(pair), *pair.workflow, measured]
        if not explained:
            told = {"output": pair.output_numbers and pair.output, "replies": pair.replies}
            found += [(name, text) for name, text in told.items() if text]
    for name, text in found:
        yield from wrapped(_line(name, text), display.width, len(_line("", "")))
    if status(pair) != "within" and not explained:
        yield from _strongest(pair, display)
    yield from _accepted(pair, display)


def _found_briefly(pair: PairSummary) -> tuple[tuple[str, str], tuple[str, str]]:
    """How much was found, how weak a difference would have been, and how long it took."""
    has = [model.has for model in reversed(pair.models)]
    counts = (
        f"{of.count}{f' and {of.possible} possible' * bool(of.possible)} in the {of.side}"
        for of in has
    )
    weakest = (
        f"{number(of.limit_of_detection)} ({of.side})"
        for of in has
        if of.limit_of_detection is not None
    )
    limits = ", ".join(weakest)
    would_find = f"strength {limits}, with 80 % probability; " if limits else ""
    measured = ("would find" if limits else "time", would_find + _took(pair))
    return ("differences", ", ".join(counts)), measured


def _accepted(pair: PairSummary, display: Display) -> Iterator[str]:
    for acceptance in pair.accepted:
        if acceptance.state == "accepted":
            yield from wrapped(
                _line("accepted", describe_acceptance(acceptance)),
                display.width,
                len(_line("", "")),
            )


def _strongest(pair: PairSummary, display: Display) -> Iterator[str]:
    for model in reversed(pair.models):
        shown = model.strongest[: display.of(*STRONGEST)]
        for line in shown:
            yield cut(_line(model.has.side, line), display.width)
        if len(model.strongest) > len(shown):
            flag = "-v" if display.verbosity < 1 else "-vv"
            yield _line("", f"… and {len(model.strongest) - len(shown)} more ({flag} shows more)")


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
    yield from _other_limits(pair)


def _other_limits(pair: PairSummary) -> Iterator[tuple[str, str]]:
    """What has limits beside the differences of either side."""
    for metric in dict.fromkeys(m for check in pair.checks for m in check.metrics):
        yield "metric", metric_headline(metric)
    for judged in dict.fromkeys(p for check in pair.checks for p in check.population):
        yield "references", visible(judged.sentence)
    yield from dict.fromkeys((_reason_name(c), c.reason) for c in pair.checks if c.reason)


def _reason_name(check: Check) -> str:
    if check.status == "insufficient":
        return "no verdict"
    if check.population or check.lacking:
        return "dictionary"
    return "too different" if check.too_far_apart else "forbidden"


def _both(before: str, after: str, noun: str) -> str:
    return f"{before} of the baseline's {noun}, {after} of the candidate's"


def _line(name: str, text: str) -> str:
    return visible(f"  {name:<15} {text}")


def _names(pair: PairSummary, root: Path) -> str:
    return " -> ".join(
        f"{visible(short(model.reference, root))} {model.has.layer_name}" for model in pair.models
    )


def short(reference: str, root: Path) -> str:
    """A path as seen from `root`, or its end; a hub id as it is."""
    path = Path(reference)
    if path.is_relative_to(root):
        return str(path.relative_to(root))
    return f"…/{path.name}" if path.is_absolute() else reference


def _is_default(name: str, raw: object, default: object) -> bool:
    try:
        return bool(parse(name, raw, "") == default)
    except SettingsError:
        return False
