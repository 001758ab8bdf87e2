"""What a message proposes: one item a line, and commands on lines of their own, to be pasted."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from pytest_crossdiff.gate.accept_request import ALL, PLACEHOLDER
from pytest_crossdiff.text import Display, rounded_up, visible, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_crossdiff.gate.check import SideCheck
    from pytest_crossdiff.report.screen.pointers import Pointers
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result

GATE = "crossdiff"
"""The name of the test that `pytest --crossdiff` adds."""
NAMED = 3
"""Ids in a command; where there are more and no others, the command says `all`."""


def todo(title: str, items: Iterable[str], display: Display) -> list[str]:
    """A list under `title`.  A command, which stands in backticks at the end of its item, gets a
    line of its own, however wide it is.
    """
    lines = ["", title]
    for item in items:
        words, _, command = item.partition("`")
        lines += wrapped(f"- {words.strip()}", display.width, 2)
        lines += [f"    {command.rstrip('`')}"] if command else []
    return lines


def accept(
    differences: Sequence[Difference], result: Result, pointers: Pointers, lead: str
) -> Iterator[str]:
    """How to accept `differences`, strongest first; nothing where there are none."""
    if differences:
        ids = [visible(d.id) for d in differences]
        every = {visible(d.id) for d in result.differences if d.confirmed}
        named = ALL if len(ids) > NAMED and {*ids} == every else ",".join(ids)
        it = "it" if len(ids) == 1 else "them"
        yield f"{lead}, accept {it} and say why: `{accept_command(pointers.command, named)}`"


def accept_command(command: str, named: str) -> str:
    """command: runs the test again.  named: ids of differences."""
    return f'{command} --crossdiff-accept={named} --crossdiff-reason="{PLACEHOLDER}"'


def command_of_test(test: str) -> str:
    """The command that runs the test of this id again, "" and the gate's being the gate."""
    if not test or test.endswith(f"::{GATE}"):
        return "pytest --crossdiff"
    return shlex.join(["pytest", test])


def raise_budget(side: SideCheck) -> Iterator[str]:
    """The budgets that would let this side pass, with what is possible."""
    most, possible = side.count + side.possible, side.possible
    among = f", with the {possible} possible" if possible else ""
    if side.max_count is not None and most > side.max_count:
        yield f"raise the budget to {most}{among} (now {side.max_count}, {side.count_from})"
    if side.max_strength is not None and not side.possible_strength <= side.max_strength:
        enough = min(1.0, rounded_up(side.possible_strength))
        now = f"now {side.max_strength:g}, {side.strength_from}"
        yield f"raise the strength budget to {enough:g}{among} ({now})"


def read_more(pointers: Pointers, display: Display) -> list[str]:
    """Where everything else stands.  These lines are as wide as the paths in them."""
    lines = [f"- the report page: {pointers.page}"] if pointers.page else []
    if pointers.entry is not None and (display.verbosity > 0 or not pointers.page):
        lines.append(f"- all texts and numbers: {pointers.entry}")
    return lines
