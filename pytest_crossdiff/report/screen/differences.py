"""Differences in a message: a sentence, a text and three numbers each; with -v every number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.results.wording import (
    behaviour,
    describe_said,
    interval,
    marked,
    reconciled,
    telling_context,
    three_numbers,
    tokens,
)
from pytest_crossdiff.text import (
    Display,
    columns,
    cut,
    number,
    percent,
    quoted,
    visible,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pytest_crossdiff.results.difference import Context, Difference
    from pytest_crossdiff.results.result import Result

SENTENCES = 3
"""Differences with a sentence, on each side; with -v there is a table."""
ROWS = 0, 0, 30
"""Differences in a table with -q, without, with -v; with -vv all, as below."""
DIFFERENCES_WITH_CONTEXTS = 0, 0, 10
"""Differences of which more contexts are shown."""
CONTEXTS = 0, 0, 4
"""Contexts after the first."""
REWRITTEN_NOTE = (
    "rewritten: the other model represents these tokens too, but writes nothing similar there"
)
SAID = "What its model predicts after these tokens, and what the other model predicts instead:"
STRONGEST_AT = "strongest at: "
"""In front of a text whose marked token is none that the sentence names."""
_HEADERS = ("id", "strength", "density", "exclusivity", "fires on", "context")
_INDENT = 6


def strongest_first(differences: Iterable[Difference]) -> list[Difference]:
    """`differences`, the strongest first."""
    return sorted(differences, key=lambda d: -d.strength)


def section(
    title: str, differences: list[Difference], result: Result, display: Display
) -> Iterator[str]:
    """The differences under `title`, as many as `display` allows."""
    yield from ("", title)
    if display.verbosity < 1:
        yield from _in_words(differences, result, display)
    else:
        yield from _in_full(differences, result, display)


def _in_words(differences: list[Difference], result: Result, display: Display) -> Iterator[str]:
    shown = differences[:SENTENCES]
    for d in shown:
        name = f"  {visible(d.id):<3} "
        label = f"{visible(d.label)} (a label, unverified): " if d.label else ""
        yield from wrapped(f"{name}{label}{behaviour(d, result)}.", display.width, _INDENT)
        if d.contexts:
            telling = telling_context(d, result)
            lead = " " * _INDENT + ("" if telling else STRONGEST_AT)
            yield lead + marked(telling or d.contexts[0], display.width - len(lead))
        yield from wrapped(" " * _INDENT + three_numbers(d), display.width, _INDENT)
        if d.doubt:
            yield from wrapped(
                f"{' ' * _INDENT}not confirmed: {visible(d.doubt)}", display.width, _INDENT
            )
    if len(differences) > len(shown):
        yield f"  … and {len(differences) - len(shown)} more (-v shows more)"


def _in_full(differences: list[Difference], result: Result, display: Display) -> Iterator[str]:
    shown = differences[: display.of(*ROWS)]
    yield from _table(shown, display.width).splitlines()
    if len(differences) > len(shown):
        yield f"… and {len(differences) - len(shown)} more (-vv shows more)"
    if any(d.kind == "rewritten" for d in shown):
        yield from ("", *wrapped(REWRITTEN_NOTE, display.width, 2))
    if shown and (text := reconciled(result, shown[0].side)):
        yield from ("", *wrapped(text, display.width, 2))
    yield from _said(shown, result, display)
    named = [d for d in shown if d.label]
    if named:
        yield from ("", "Labels, unverified:")
        yield from (cut(f"  {visible(d.id)}  {visible(d.label)}", display.width) for d in named)
    for difference in differences[: display.of(*DIFFERENCES_WITH_CONTEXTS)]:
        more = _more_contexts(difference)[: display.of(*CONTEXTS)]
        if more:
            yield from ("", f"{visible(difference.id)} fires here too:")
            yield from (f"  {marked(context, display.width - 2)}" for context in more)
    doubtful = [d for d in shown if d.doubt]
    yield from [""] * bool(doubtful)
    for d in doubtful:
        doubt = f"{visible(d.id)} is not confirmed: {visible(d.doubt)}"
        yield from wrapped(doubt, display.width, 2)


def _said(shown: list[Difference], result: Result, display: Display) -> Iterator[str]:
    """What both models say where each fires, and the tokens that they predict there."""
    sentences = [(d, sentence) for d in shown if (sentence := describe_said(d))]
    yield from [""] * bool(sentences)
    for d, sentence in sentences:
        yield from wrapped(f"  {visible(d.id)}  {sentence}", display.width, _INDENT)
    predicted_tokens = [d for d in shown if any(result.predicted_tokens(d))]
    if predicted_tokens:
        yield from ("", *wrapped(SAID, display.width, 2))
    for d in predicted_tokens:
        here, instead = map(quoted, result.predicted_tokens(d))
        words = f"{here or 'other words'} instead of {instead}" if instead else here
        yield cut(f"  {visible(d.id)}  {words}", display.width)


def _table(differences: list[Difference], width: int) -> str:
    from tabulate import tabulate

    rows = [_row(d) for d in differences]
    widths = [max(columns(row[i]) for row in (_HEADERS, *rows)) for i in range(5)]
    left = width - sum(widths[:4]) - 2 * (len(_HEADERS) - 1)
    widths[4] = min(widths[4], max(len(_HEADERS[4]), left // 3))
    widths.append(max(20, left - widths[4]))
    cells = [
        (*row[:4], cut(row[4], widths[4]), _first_context(d, widths[5]))
        for row, d in zip(rows, differences, strict=True)
    ]
    # The headers go in as a row: as headers, tabulate would give each two columns more.
    rule = tuple("-" * (n if i < 5 else len(_HEADERS[5])) for i, n in enumerate(widths))
    return tabulate([_HEADERS, rule, *cells], tablefmt="plain", disable_numparse=True)


def _row(d: Difference) -> tuple[str, str, str, str, str]:
    return visible(d.id), number(d.strength), percent(d.density), interval(d), tokens(d)


def _first_context(difference: Difference, width: int) -> str:
    return marked(difference.contexts[0], width) if difference.contexts else ""


def _more_contexts(difference: Difference) -> list[Context]:
    """The contexts after the first, those from other parts of the range before the rest."""
    rest = difference.contexts[1:]
    bands = {c.band: c for c in reversed(rest)}
    varied = [c for c in rest if bands[c.band] is c]
    return varied + [c for c in rest if c not in varied]
