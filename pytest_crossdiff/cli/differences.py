"""Differences and features of a result as lists and as pages."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.terminal import table
from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.gate.patterns import compile_pattern, matches
from pytest_crossdiff.report.screen.block import block
from pytest_crossdiff.report.screen.differences import REWRITTEN_NOTE
from pytest_crossdiff.report.summary import PairSummary
from pytest_crossdiff.results.wording import interval, marked, reconciled, tokens
from pytest_crossdiff.settings.parsing import closest_match
from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import Display, columns, cut, number, percent, plural, quoted, visible

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_crossdiff.cli.results import LoadedReport
    from pytest_crossdiff.cli.terminal import Terminal
    from pytest_crossdiff.report.document import Report
    from pytest_crossdiff.results.difference import Difference, Feature
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.sides import Side

HEAD = ("id", "strength", "density", "exclusivity", "state", "fires on")
_TESTED = ("feature", "only in", "strength", "density", "exclusivity", "documents", "verdict")


def select_differences(
    result: Result, ids: Sequence[str], side: Side | None, matching: str | None
) -> list[Difference]:
    """The differences asked for, of each side the strongest first; the candidate's first.

    Raises `SettingsError` for an id that isn't there.
    """
    by_id = {d.id.upper(): d for d in result.differences}
    for name in ids:
        if name.upper() not in by_id:
            there = ", ".join(visible(d.id) for d in result.differences) or "none"
            hint = closest_match(name.upper(), by_id)
            raise SettingsError(
                f"the result has no difference {name!r}, only {there}",
                remedy=f"did you mean {hint}?" if hint else None,
            )
    found = [by_id[name.upper()] for name in ids] or sorted(
        result.differences, key=lambda d: (-SIDES.index(d.side), not d.confirmed, -d.strength)
    )
    if matching is not None:
        pattern = compile_pattern(matching, "--matching")
        found = [d for d in found if matches(d, pattern, result)]
    return [d for d in found if side in (None, d.side)]


def heading(out: Terminal, found: LoadedReport, *, first: bool) -> None:
    """The layer's name, where there are several."""
    if not first:
        out.line()
    if found.layer:
        out.line(out.paint(f"layer {visible(found.layer)}", "bold"))


def write_pair(out: Terminal, found: LoadedReport) -> None:
    """What the pair is and how good the measurement."""
    title, *lines = block(PairSummary.of(found.report), found.root, Display(out.width, 1))
    out.line(out.paint(title, "bold"))
    place = f"  {visible(str(found.folder))}" if found.folder.exists() else ""
    out.line(f"  {'result':<15} {visible(found.result.key[:12])}{place}")
    for line in lines:
        if line.startswith(("  candidate  ", "  baseline  ")):  # the tables say more
            break
        if not line.startswith("  result  "):
            out.line(line)


def write_list(
    out: Terminal, found: LoadedReport, differences: Sequence[Difference], limit: int
) -> None:
    """What the pair is and how good the measurement, then a row for each difference."""
    write_pair(out, found)
    for side in reversed(SIDES):
        own = [d for d in differences if d.side == side]
        out.line()
        if not own:
            out.line(f"Only in the {side}: none")
            continue
        out.line(out.paint(f"Only in the {side}, strongest first:", side))
        shown = own[: limit or len(own)]
        for line in table(HEAD, [row(d, found.report) for d in shown], out.width):
            out.line(line)
        if len(own) > len(shown):
            out.line(f"… and {len(own) - len(shown)} more (--limit 0 shows all)")
    if differences:
        out.line()
        run = f"{found.result.key[:12]} " if found.layer else ""
        out.line(f"One with its texts: crossdiff show {run}--id {visible(differences[0].id)}")


def write_tested(out: Terminal, result: Result, side: Side | None, limit: int) -> None:
    """A row for each feature that was tested, with the verdict on it."""
    features = sorted(
        (f for f in result.features if side in (None, f.side)),
        key=lambda f: (not f.verified, -f.strength),
    )
    shown = features[: limit or len(features)]
    out.line(
        f"{plural(len(features), 'feature')} tested, "
        f"{sum(f.verified for f in features)} verified; the others with the reason of rejection:"
    )
    for one in SIDES:
        if side in (None, one) and (text := reconciled(result, one)):
            out.line(f"{one}: {text}")
    for line in table(_TESTED, [_tested(f) for f in shown], out.width):
        out.line(line)
    if len(features) > len(shown):
        out.line(f"… and {len(features) - len(shown)} more (--limit 0 shows all)")


def with_ids(several: Sequence[LoadedReport], ids: Sequence[str]) -> list[LoadedReport]:
    """The results that have one of `ids`.  Raises `SettingsError` for one that none of them has."""
    having = {name: [one for one in several if _has(one.result, name)] for name in ids}
    for name, ones in having.items():
        if not ones:
            select_differences(several[0].result, [name], None, None)  # says what there is
    return [one for one in several if any(one in ones for ones in having.values())]


def _has(result: Result, name: str) -> bool:
    return any(d.id.upper() == name.upper() for d in result.differences)


def write_differences(out: Terminal, differences: Sequence[Difference], report: Report) -> None:
    """Everything about each."""
    for at, difference in enumerate(differences):
        if at:
            out.line()
        write_difference(out, difference, report)


def write_difference(out: Terminal, d: Difference, report: Report) -> None:
    """Everything about one difference."""
    label = f": {visible(d.label)} (a label, unverified)" if d.label else ""
    doubt = f" ({visible(d.doubt)})" if d.doubt else ""
    out.line(
        out.paint(visible(d.id), d.side) + f"  only in the {d.side}, {d.certainty}{doubt}{label}"
    )
    for name, text in _facts(d, report):
        for at, part in enumerate(
            textwrap.wrap(text, out.width - 15, break_on_hyphens=False) or [""]
        ):
            out.line(f"  {'' if at else name:<12} {part}")
    out.line("  where it fires, strongest first:")
    for context in d.contexts:
        lead = f"  {context.activation:>6.2f}  "
        text = marked(context, out.width - columns(lead))
        out.line(lead + _coloured(out, text, d.side))
        out.line(
            out.paint(
                cut(
                    f"{'':>10}{_reading(context.other)}, {visible(context.document)}, "
                    f"{visible(context.band)}",
                    out.width,
                ),
                "dim",
            )
        )


def _reading(other: float) -> str:
    return f"predicted from the other model: {other:.2f}"


def _coloured(out: Terminal, text: str, side: Side) -> str:
    """The marked token in its side's colour; what stands around it as it is."""
    before, opening, rest = text.partition("⟦")
    token, closing, after = rest.partition("⟧")
    return before + out.paint(opening + token + closing, side) + after


def _facts(d: Difference, report: Report) -> Iterator[tuple[str, str]]:
    if known := report.acceptance(d.id):
        until = f", until {known.expires}" if known.expires else ""
        yield known.state, f"by {visible(known.by)}, {known.date}{until}: {visible(known.reason)}"
        if known.description:
            yield "it was", visible(known.description)
    yield (
        "strength",
        f"{number(d.strength)} of the variance"
        + (f" ({number(d.strength_low)} to {number(d.strength_high)})" if len(d.seeds) > 1 else ""),
    )
    yield "density", f"{percent(d.density)} of the tokens, in {plural(d.documents, 'document')}"
    if d.kind == "exclusive":
        yield "exclusivity", f"{interval(d)}, p = {number(d.p_value)}"
    else:
        yield "kind", REWRITTEN_NOTE
    yield "", f"R² of its own model {d.r2_own:.2f}, of the other {d.r2_other:.2f}"
    yield "peak", f"{d.peak:.2f} times the typical norm"
    seeds = len(report.result.training.seeds)
    of = f"; in {len(d.seeds)} of {seeds} dictionaries" if seeds > 1 else ""
    yield "features", visible(", ".join(d.features)) + of
    if d.effect is not None:
        unit = "nats" if d.effect.measure == "kl" else "of the output"
        where, elsewhere = number(d.effect.firing), number(d.effect.elsewhere)
        yield "effect", f"without it {where} {unit} where it fires, {elsewhere} elsewhere"
        if d.effect.raised:
            yield "raises", quoted(d.effect.raised)
        if d.effect.lowered:
            yield "lowers", quoted(d.effect.lowered)
    about = d.description
    yield "fires on", ", ".join(f"'{visible(t.token)}' ({t.fired} of {t.occurs})" for t in d.tokens)
    if about.words:
        yield "words near", ", ".join(f"{visible(w)} ({lift:.3g} times)" for w, lift in about.words)
    predictions = report.result.model(d.side).predictions
    more, less = ("says", "and not") if predictions else ("promotes", "suppresses")
    if about.promoted:
        yield more, quoted(about.promoted)
    if about.suppressed:
        yield less, quoted(about.suppressed)


def row(d: Difference, report: Report) -> tuple[str, ...]:
    """What a list says of a difference, under `HEAD`."""
    known = report.acceptance(d.id)
    label = f"{visible(d.label)}: " if d.label else ""
    return (
        visible(d.id), number(d.strength), percent(d.density), interval(d),
        known.state if known else d.certainty,
        label + tokens(d),
    )  # fmt: skip


def _tested(f: Feature) -> tuple[str, ...]:
    return (
        f.id, f.side, number(f.strength), percent(f.density), interval(f), str(f.documents),
        visible(f.rejected) or "verified",
    )  # fmt: skip
