"""`crossdiff show`: the differences of a result, on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.cli.arguments import add_run, command, given, rows
from pytest_crossdiff.cli.exits import FINE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pytest_crossdiff.cli.arguments import Commands
    from pytest_crossdiff.cli.results import LoadedReport
    from pytest_crossdiff.cli.terminal import Terminal

MORE = """\
Without --id it lists the differences of both sides, and at a terminal asks which to open (? says
what else there is; --list only lists); with it, it shows all that is known of
one: numbers, words, and the places in the held-out text where it fires, from its strongest
down.  --on reads a text of yours with both models (that takes seconds to minutes) and marks
the tokens on which a difference fires.  Where the settings name several layers, each is listed;
--on needs one of them, by --layer or as RUN."""
EXAMPLES = """\
  crossdiff show                                the result of pytest.ini, to browse
  crossdiff show 3f2a --id B1 --id C1           of a result by the first letters of its key
  crossdiff show --matching "(?i)refund"        differences with such a text
  crossdiff show --tested                       every feature that was tested, and the verdict
  crossdiff show --on "Is it in the box?"       which tokens a difference fires on
  crossdiff show --on @letter.txt               the same for a file
  crossdiff show artifacts/result.json          a file that CI kept"""


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(commands, "show", "look at what differs", run, more=MORE, examples=EXAMPLES)
    parser.add_argument(
        "-i", "--id", action="append", default=[], metavar="ID", help="a difference; again for more"
    )
    parser.add_argument("--side", choices=("baseline", "candidate"), help="only what this one has")
    parser.add_argument("--matching", metavar="REGEX", help="only those with such a token or text")
    parser.add_argument("--list", action="store_true", help="ask nothing, at a terminal either")
    parser.add_argument("--tested", action="store_true", help="the features that were tested")
    parser.add_argument(
        "--limit", type=rows, default=20, metavar="N", help="rows of a list (default: 20; 0: all)"
    )
    parser.add_argument("--on", metavar="TEXT", help="what fires on a text, or @file")
    add_run(parser)


def run(options: argparse.Namespace, out: Terminal) -> int:
    """Find the result and write what was asked for."""
    from pytest_crossdiff.cli.differences import (
        select_differences,
        write_differences,
        write_list,
    )
    from pytest_crossdiff.cli.results import find, find_each
    from pytest_crossdiff.cli.terminal import is_interactive

    flags = given(options)
    single = options.on is not None and not options.tested
    several = [find(options.result, flags)] if single else find_each(options.result, flags)
    if options.tested or len(several) > 1:
        _write_each(options, out, several)
        return FINE
    (found,) = several
    differences = select_differences(found.result, options.id, options.side, options.matching)
    if options.on is not None:
        from pytest_crossdiff.cli.on_text import text_of, write_reading
        from pytest_crossdiff.cli.progress import on_stderr

        write_reading(out, found, text_of(options.on), differences, flags, on_stderr())
        return FINE
    if options.id:
        write_differences(out, differences, found.report)
        return FINE
    if differences and not options.list and is_interactive():
        from pytest_crossdiff.cli.browse import browse

        browse(out, found, differences, options.limit)
        return FINE
    write_list(out, found, differences, options.limit)
    return FINE


def _write_each(
    options: argparse.Namespace, out: Terminal, several: Sequence[LoadedReport]
) -> None:
    """What was asked for, of each layer that has it."""
    from pytest_crossdiff.cli import differences

    ids = [] if options.tested else options.id
    chosen = differences.with_ids(several, ids) if ids else several
    for at, found in enumerate(chosen):
        differences.heading(out, found, first=not at)
        if options.tested:
            differences.write_tested(out, found.result, options.side, options.limit)
        elif ids:
            shown = [d for d in found.result.differences if d.id.upper() in map(str.upper, ids)]
            differences.write_differences(out, shown, found.report)
        else:
            shown = differences.select_differences(found.result, [], options.side, options.matching)
            differences.write_list(out, found, shown, options.limit)
