"""What several commands' arguments have in common."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from pytest_crossdiff.settings import fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_crossdiff.cli.terminal import Terminal

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
    Run = Callable[[argparse.Namespace, Terminal], int]

_PREFIX = "setting "


def command(
    commands: Commands, name: str, what: str, run: Run, *, more: str = "", examples: str = ""
) -> argparse.ArgumentParser:
    """Add the command `name`.  what: one line.  more, examples: for its own help."""
    parser = commands.add_parser(
        name,
        help=what,
        description=f"{what[0].upper()}{what[1:]}.\n\n{more}".rstrip(),
        epilog=f"examples:\n{examples}" if examples else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.set_defaults(run=run)
    return parser


def add_settings(parser: argparse.ArgumentParser, *, listed: bool = True) -> None:
    """Every setting that a flag may give; with `listed` they stand in the help."""
    group = parser.add_argument_group(
        "settings",
        "Those left out are those of the configuration file."
        if listed
        else "Those of the configuration file, or flags as in `crossdiff train --help`.",
    )
    for field in fields():
        if not field.ini_only:
            what = field.help.replace("%", "%%")
            group.add_argument(
                f"--{field.name.replace('_', '-')}",
                dest=_PREFIX + field.name,
                metavar=field.name.rpartition("_")[2].upper(),
                help=what if listed else argparse.SUPPRESS,
            )


def add_run(parser: argparse.ArgumentParser) -> None:
    """The result that a command is about."""
    parser.add_argument(
        "result",
        metavar="RUN",
        nargs="?",
        default="",
        help="a result: the first letters of its key (crossdiff cache list), a folder or a "
        "result.json; left out: the result of the settings",
    )
    add_settings(parser, listed=False)


def given(options: argparse.Namespace) -> Mapping[str, str]:
    """The settings given as flags, by name."""
    found: dict[str, Any] = vars(options)
    return {
        name.removeprefix(_PREFIX): value
        for name, value in found.items()
        if name.startswith(_PREFIX) and value is not None
    }
