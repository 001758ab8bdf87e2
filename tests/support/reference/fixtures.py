"""The table of fixtures, from their definitions."""

from __future__ import annotations

import re
from typing import Any

from pytest_crossdiff import plugin


def names() -> list[str]:
    """The public fixtures, in the order of the code."""
    return [name for name in vars(plugin) if re.fullmatch(r"crossdiff(_\w+)?", name)]


def table() -> str:
    """Name, scope and docstring of each."""
    lines = ["| fixture | scope | what it gives |", "|---|---|---|"]
    for name in names():
        fixture: Any = getattr(plugin, name)
        said = " ".join((fixture.__doc__ or "").partition("\n\n")[0].split())
        marker = fixture._fixture_function_marker
        lines.append(f"| `{name}` | {marker.scope} | {said} |")
    return "\n".join(lines)
