"""The inputs of the GitHub Action, from `action.yml`."""

from __future__ import annotations

import yaml

from benchmarks.documents import DOCS


def inputs() -> str:
    """A row for each input."""
    action = yaml.safe_load((DOCS.parent / "action.yml").read_text("utf-8"))
    lines = ["| input | default | what it is |", "|---|---|---|"]
    for name, given in action["inputs"].items():
        default = f"`{given['default']}`" if given["default"] else "–"
        lines.append(f"| `{name}` | {default} | {given['description']} |")
    return "\n".join(lines)
