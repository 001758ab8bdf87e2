"""The table of settings: what each is, what it takes and where it may be set."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from pytest_crossdiff.settings import fields

if TYPE_CHECKING:
    from collections.abc import Callable

UNBOUNDED = {
    "text": "text",
    "flag": "true or false",
    "names": "paths, hub ids or folders, separated by commas",
    "layers": "whole number, 0.0 to 1.0, or `output`; several separated by commas",
    "optional_layers": "layers, or nothing",
    "extra_probe_layers": "layers separated by commas, or nothing",
    "corpus_columns": "keys separated by commas, each with or without a role before it",
    "trackers": "`mlflow`, `wandb`, `trackio`, separated by commas, or `none`",
    "formats": "`html`, `json`, `md`, separated by commas, or `none`",
}
"""In words, what those parsers of settings/kinds.py take that have no bounds."""


def kind(parse: Callable[[str], object]) -> str:
    """The name of the function in settings/kinds.py that is, or made, a parser."""
    return parse.__qualname__.partition(".")[0]


def bounds(parse: Callable[[str], object]) -> dict[str, object]:
    """What a made parser was made with: `low`, `high`, `names`, ..."""
    return dict(inspect.getclosurevars(parse).nonlocals)


def values(parse: Callable[[str], object]) -> str:
    """What a parser of settings/kinds.py takes, in words."""
    bound = bounds(parse)
    match kind(parse):
        case name if name in UNBOUNDED:
            return UNBOUNDED[name]
        case "integer":
            return f"whole number, at least {bound['low']}"
        case "number":
            return f"{'above ' if bound['open_low'] else ''}{bound['low']:g} to {bound['high']:g}"
        case "optional_number":
            return f"{values(bound['parse'])}, or none"
        case "choice":
            return ", ".join(f"`{name}`" for name in bound["names"])
    raise AssertionError(f"no words for {parse}")


def table() -> str:
    """A row for each setting, in the order of the code."""
    lines = ["| setting | default | values | what it is |", "|---|---|---|---|"]
    for field in fields():
        default = "–" if field.default in ("", None, ()) else f"`{field.default}`".lower()
        what = field.help.replace("|", "\\|")
        if field.env:
            what += f" (also from the environment variable `{field.env}`)"
        if field.ini_only:
            what += " (only in the configuration file)"
        lines.append(f"| `{field.name}` | {default} | {values(field.parse)} | {what} |")
    return "\n".join(lines)
