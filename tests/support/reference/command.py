"""The options of every command of `crossdiff`, from its parsers."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.parser import parser
from pytest_crossdiff.settings import fields

if TYPE_CHECKING:
    from collections.abc import Iterator


def options() -> str:
    """A section for each command: what it does, how it is called, its own options."""
    return "\n\n".join("\n".join(_section(one)) for one in _commands(parser()))


def _commands(top: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of all commands that run something, depth first."""
    below = [a for a in top._actions if isinstance(a, argparse._SubParsersAction)]
    if not below:
        yield top
    for action in below:
        for one in action.choices.values():
            yield from _commands(one)


def _section(one: argparse.ArgumentParser) -> Iterator[str]:
    yield f"### `{one.prog}`"
    yield ""
    flags = {f"--{field.name.replace('_', '-')}" for field in fields()}
    own = [a for a in one._actions if a.dest not in ("help", "command")]
    of_settings = [a for a in own if flags.intersection(a.option_strings)]
    every = len(of_settings) > len(flags) / 2
    shown = [a for a in own if not (every and a in of_settings)]
    if shown:
        yield "| argument | what it is |"
        yield "|---|---|"
    for action in shown:
        yield f"| {_called(action)} | {_said(action)} |"
    if every:
        said = "It takes every setting as a flag, such as `--layer=output`."
        yield f"\n{said}" if shown else said


def _called(action: argparse.Action) -> str:
    value = action.metavar or ("|".join(map(str, action.choices)) if action.choices else "")
    value = value if isinstance(value, str) else " ".join(value)
    if not action.option_strings:
        return f"`{value or action.dest.upper()}`".replace("|", "\\|")
    takes = action.nargs != 0
    shown = value or action.dest.upper()
    return ", ".join(f"`{o}{f'={shown}' if takes else ''}`" for o in action.option_strings).replace(
        "|", "\\|"
    )


def _said(action: argparse.Action) -> str:
    said = (action.help or "").replace("|", "\\|").replace("%%", "%")
    return said.replace("%(default)s", str(action.default))
