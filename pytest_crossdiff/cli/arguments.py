"""What several commands' arguments have in common."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

from pytest_crossdiff.settings import fields, kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_crossdiff.cli.terminal import Terminal
    from pytest_crossdiff.errors import CrossDiffError

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
    Run = Callable[[argparse.Namespace, Terminal], int]

_PREFIX = "setting "


def rows(text: str) -> int:
    """How many rows, 0 for all.  Raises `ArgumentTypeError`."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of rows: give e.g. 20, or 0")
    return int(text)


def command(
    commands: Commands, name: str, what: str, run: Run, *, more: str = "", examples: str = ""
) -> argparse.ArgumentParser:
    """Add the command `name`.  what: one line.  more, examples: for its own help."""
    parser = commands.add_parser(name, **described(what, more, examples))
    parser.set_defaults(run=run)
    return parser


def described(what: str, more: str = "", examples: str = "") -> dict[str, Any]:
    """What a parser is given to say of its command: `what` in the list of commands, and with
    `more` and `examples` in its own help.
    """
    return {
        "help": what,
        "description": filled(f"{what[0].upper()}{what[1:]}.\n\n{more}".rstrip()),
        "epilog": fitted_examples(f"examples:\n{examples}") if examples else None,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }


def filled(text: str) -> str:
    """`text` with its paragraphs as wide as the terminal; what is indented stays as it is."""
    width = _width()
    paragraphs = text.split("\n\n")
    return "\n\n".join(
        part if "\n " in f"\n{part}" else textwrap.fill(part, width, break_on_hyphens=False)
        for part in paragraphs
    )


def fitted_examples(text: str) -> str:
    """`text` with what is said of a command on a line of its own where both do not fit."""
    width = _width()
    lines = []
    for line in text.split("\n"):
        parts = re.fullmatch(r"  (\S.*?) {2,}(\S.*)", line) if len(line) > width else None
        lines += [f"  {parts[1]}", f"      {parts[2]}"] if parts else [line]
    return "\n".join(lines)


def _width() -> int:
    return min(shutil.get_terminal_size((80, 24)).columns, 100) - 2


def add_settings(parser: argparse.ArgumentParser, *, listed: bool = True) -> None:
    """Every setting that a flag may give; with `listed` they stand in the help."""
    usage = " ".join(parser.format_usage().removeprefix("usage: ").split())
    first = parser.add_argument_group(
        "settings that one needs first" if listed else "settings",
        "Those left out are those of the configuration file."
        if listed
        else "Those of the configuration file, or flags as in `crossdiff train --help`.",
    )
    rest = parser.add_argument_group("all other settings") if listed else first
    named = []
    for field in kinds.in_order_of_use(fields()):
        if not field.ini_only:
            what = field.help.replace("%", "%%")
            flag, metavar = f"--{field.name.replace('_', '-')}", kinds.metavar(field)
            (first if field.name in kinds.FIRST else rest).add_argument(
                flag,
                dest=_PREFIX + field.name,
                metavar=metavar,
                help=what if listed else argparse.SUPPRESS,
            )
            named += [f"[{flag} {metavar}]"] if listed and field.name in kinds.FIRST else []
    indent = " " * len(f"usage: {parser.prog} ")
    whole = " ".join((usage, *named, "[--SETTING VALUE ...]"))
    parser.usage = textwrap.fill(
        whole.replace("%", "%%"), 78 - len("usage: "), subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


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


def as_typed(error: CrossDiffError, flags: Mapping[str, str]) -> CrossDiffError:
    """`error` with the settings given as flags named as they were typed here: `--layer`."""

    def flag(found: re.Match[str]) -> str:
        name = found[1].replace("-", "_")
        return f"--{found[1]}" if name in flags else found[0]

    def typed(text: str | None) -> str | None:
        return None if text is None else re.sub(r"--crossdiff-([a-z0-9-]+)", flag, text)

    what, source = error.what, typed(error.source)
    for name in flags:
        if source and source.startswith(f"--{name.replace('_', '-')}"):
            what = re.sub(rf"\bcrossdiff_{name}\b", f"--{name.replace('_', '-')}", what)
    return type(error)(typed(what) or "", source=source, remedy=typed(error.remedy))
