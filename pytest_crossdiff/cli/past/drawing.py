"""A series of results on the terminal: two tables, bars over time, and what has changed last."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.past.series import in_short
from pytest_crossdiff.cli.terminal import table
from pytest_crossdiff.report.screen.pair import WORDS
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import columns, number, percent, visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pytest_crossdiff.cli.past.series import Row, Series
    from pytest_crossdiff.cli.terminal import Terminal
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result

_SHOWN: dict[str, tuple[str, Callable[[float], str]]] = {
    "max_kl": ("KL", number),
    "max_kl_p99": ("KL p99", number),
    "min_same_top": ("same top token", percent),
    "max_perplexity_ratio": ("perplexity ratio", number),
    "max_surprising_replies": ("surprising replies", percent),
}
"""The columns of the second table, by the setting that limits each."""
_STYLES = {"exceeded": "red", "insufficient": "red", "inconclusive": "yellow", "within": "green"}


def write_series(out: Terminal, one: Series, limit: int) -> None:
    """The last `limit` results, all for 0."""
    differs = f" ({', '.join(map(visible, one.differs))})" if one.differs else ""
    out.line(out.paint(f"{one.where}{differs}", "bold"))
    rows = one.rows[-limit:] if limit else one.rows
    if len(rows) < len(one.rows):
        out.line(f"… and {len(one.rows) - len(rows)} before (--limit=0 shows all)")
    dates = _dates(rows)
    _write_verdicts(out, rows, dates)
    _write_metrics(out, rows, dates)
    if len(rows) > 1:
        _write_strengths(out, rows, dates)
        _write_kl(out, rows, dates)
    _write_change(out, one)


def _dates(rows: Sequence[Row]) -> list[str]:
    """The day of each, with the time where two are of one day."""
    days = [row.measured.strftime("%Y-%m-%d") for row in rows]
    if len({*days}) == len(days):
        return days
    return [row.measured.strftime("%Y-%m-%d %H:%M") for row in rows]


def _write_verdicts(out: Terminal, rows: Sequence[Row], dates: Sequence[str]) -> None:
    head = "measured", "result", "verdict", "candidate-only", "baseline-only", "candidate"
    cells = [
        (
            date,
            row.result.key[:8],
            WORDS[row.check.status],
            *(_count(row, side) for side in reversed(SIDES)),
            visible(name_of(row.result)),
        )
        for row, date in zip(rows, dates, strict=True)
    ]
    top, *lines = table(head, cells, out.width)
    out.line(out.paint(top, "bold"))
    for row, line in zip(rows, lines, strict=True):
        word = WORDS[row.check.status]
        before, _, after = line.partition(word)
        out.line(before + out.paint(word, _STYLES[row.check.status]) + after)


def _count(row: Row, side: str) -> str:
    """`5+1  0.109`: confirmed and possible differences, and the joint strength of the former."""
    (has,) = (has for has in row.report.sides if has.side == side)
    possible = f"+{has.possible}" if has.possible else ""
    return f"{f'{has.count}{possible}':<4} {number(has.strength)}"


def _write_metrics(out: Terminal, rows: Sequence[Row], dates: Sequence[str]) -> None:
    """The columns that some result has."""
    names = [name for name in _SHOWN if any(row.metric(name) is not None for row in rows)]
    if not names:
        return
    out.line()
    head = "measured", *(_SHOWN[name][0] for name in names)
    cells = [
        (date, *(_metric(row, n) for n in names)) for row, date in zip(rows, dates, strict=True)
    ]
    top, *lines = table(head, cells, out.width)
    for line in (out.paint(top, "bold"), *lines):
        out.line(line)


def _metric(row: Row, name: str) -> str:
    found = row.metric(name)
    return "-" if found is None else _SHOWN[name][1](found.value)


def _write_strengths(out: Terminal, rows: Sequence[Row], dates: Sequence[str]) -> None:
    bars = [
        (date if side == "candidate" else "", f"{side}-only", side, has.strength)
        for row, date in zip(rows, dates, strict=True)
        for side in reversed(SIDES)
        for has in row.report.sides
        if has.side == side
    ]
    out.line()
    for line in _chart(out, "joint strength of the differences", bars):
        out.line(line)


def _write_kl(out: Terminal, rows: Sequence[Row], dates: Sequence[str]) -> None:
    known = [(row.metric("max_kl"), date) for row, date in zip(rows, dates, strict=True)]
    bars = [(date, "", "dim", kl.value) for kl, date in known if kl is not None]
    if len(bars) > 1:
        out.line()
        for line in _chart(out, "KL divergence, nats a token", bars):
            out.line(line)


def _chart(out: Terminal, title: str, bars: Sequence[tuple[str, str, str, float]]) -> Iterator[str]:
    """bars: date, name, style and value of each; the longest fills the width."""
    yield out.paint(title, "bold")
    dates = max(columns(date) for date, *_ in bars)
    leads = [f"{date:<{dates}}  {name}".rstrip() for date, name, _, _ in bars]
    lead = max(map(columns, leads))
    most = max(value for *_, value in bars)
    room = max(10, min(out.width, 100) - lead - 12)
    for begins, (_, _, style, value) in zip(leads, bars, strict=True):
        length = round(room * value / most) if most > 0 else 0
        bar = out.paint("█" * length or "·", style)
        yield f"{begins:<{lead}}  {bar} {number(value)}"


def _write_change(out: Terminal, one: Series) -> None:
    """What is new and what is gone, by where differences fire."""
    change = one.last_change()
    if change is None:
        return
    before, after = one.rows[-2].result, one.rows[-1].result
    out.line()
    title = f"{name_of(after)} ({after.key[:8]}) since {name_of(before)} ({before.key[:8]})"
    out.line(out.paint(visible(title), "bold"))
    rows = [_changed("new", d, after) for d in change.new]
    rows += [_changed("gone", d, before) for d in change.gone]
    rows += [_changed("kept", now, after, was) for was, now in change.kept]
    if not rows:
        out.line("no differences in either")
        return
    _, *lines = table(("", "", "", ""), rows, out.width)
    for line in lines:
        out.line(line)


def _changed(
    word: str, d: Difference, result: Result, was: Difference | None = None
) -> tuple[str, ...]:
    """was: the same difference in the result before, where it is kept."""
    strength = f"{number(was.strength)} -> {number(d.strength)}" if was else number(d.strength)
    possible = "" if d.confirmed else "possible: "
    return word, visible(d.id), strength, possible + in_short(d, result)


def name_of(result: Result) -> str:
    """The candidate: a hub id as it is, of a path the last two folders."""
    path = Path(result.candidate.reference)
    return "/".join(path.parts[-2:]) if path.is_absolute() else result.candidate.reference
