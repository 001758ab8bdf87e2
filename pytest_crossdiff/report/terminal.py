"""The header and the summary section of a test run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.options import fields, parse
from pytest_crossdiff.report.acceptance import warnings
from pytest_crossdiff.report.text import cut, duration, number, percent, plural, visible
from pytest_crossdiff.resolution import configured

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pytest

    from pytest_crossdiff.report.summary import PairSummary

_WORDS = {
    "exceeded": "OVER BUDGET",
    "insufficient": "NO VERDICT",
    "inconclusive": "INCONCLUSIVE",
    "within": "within budget",
    "": "measured",
}
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
    for layer in configured(config):
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
    """A block for each pair; with -q a line."""
    pairs = list(pairs)
    warned = [f"crossdiff: {text}" for text in warnings(a for p in pairs for a in p.accepted)]
    if reporter.config.get_verbosity() < 0:
        for pair in pairs:
            reporter.write_line(brief(pair, root))
        for line in warned:
            reporter.write_line(cut(line, width), yellow=True)
        return
    reporter.write_sep("=", "crossdiff")
    for at, pair in enumerate(pairs):
        if at:
            reporter.write_line("")
        title, *lines = block(pair, root)
        reporter.write_line(cut(title, width), bold=True, **{_COLOURS[status(pair)]: True})
        for line in lines:
            reporter.write_line(cut(line, width))
    for line in warned:
        reporter.write_line(cut(line, width), yellow=True)


def status(pair: PairSummary) -> str:
    """The worst verdict that was drawn on the pair, "" when none was."""
    drawn = {check.status for check in pair.checks}
    worst_first = ("exceeded", "insufficient", "inconclusive", "within")
    return next((s for s in worst_first if s in drawn), "")


def brief(pair: PairSummary, root: Path) -> str:
    """The pair on one line."""
    counts = f"candidate-only {pair.candidate.count}, baseline-only {pair.baseline.count}"
    return f"crossdiff: {_WORDS[status(pair)]}: {_names(pair, root)}: {counts}"


def block(pair: PairSummary, root: Path) -> Iterator[str]:
    """The pair on a dozen lines: verdict, counts, and how good the measurement is."""
    before, after = pair.baseline, pair.candidate
    yield f"{_WORDS[status(pair)]}: {_names(pair, root)}"
    yield from _counts(pair)
    if pair.controls:
        yield _line("controls", pair.controls)
    yield _line("explained", _both(number(before.fve), number(after.fve), "variance"))
    coverage = percent(before.coverage), percent(after.coverage)
    yield _line("aligned", _both(*coverage, "tokens"))
    texts = f"{pair.train_pairs} token pairs to learn from, {pair.heldout_pairs} held out"
    yield _line("texts", f"{visible(_short(pair.corpus, root))}: {texts}")
    took = duration(pair.seconds)
    yield _line("time", f"from cache (measured in {took})" if pair.cached else took)
    for model, side in ((after, "candidate"), (before, "baseline")):
        for line in model.strongest:
            yield _line(side, line)
    for acceptance in pair.accepted:
        if acceptance.state == "accepted":
            yield _line("accepted", acceptance.text)


def _counts(pair: PairSummary) -> Iterator[str]:
    stated = [line for check in pair.checks for line in check.lines]
    for model, side in ((pair.candidate, "CANDIDATE"), (pair.baseline, "BASELINE")):
        own = [x for x in dict.fromkeys(stated) if x.startswith(side)]
        unasked = f"{plural(model.count, 'difference')}; joint strength {number(model.strength)}"
        for text in own or [f"{side}-ONLY: {unasked}"]:
            name, _, rest = text.partition(": ")
            yield _line(name.lower(), rest)
    for check in pair.checks:
        if check.reason:
            yield _line("no verdict", check.reason)


def _both(before: str, after: str, noun: str) -> str:
    return f"{before} of the baseline's {noun}, {after} of the candidate's"


def _line(name: str, text: str) -> str:
    return f"  {name:<15} {text}"


def _names(pair: PairSummary, root: Path) -> str:
    return " -> ".join(
        f"{visible(_short(m.reference, root))} block {m.layer}"
        for m in (pair.baseline, pair.candidate)
    )


def _short(reference: str, root: Path) -> str:
    path = Path(reference)
    if path.is_relative_to(root):
        return str(path.relative_to(root))
    return f"…/{path.name}" if path.is_absolute() else reference


def _is_default(name: str, raw: object, default: object) -> bool:
    try:
        return bool(parse(name, raw, "") == default)
    except SettingsError:
        return False
