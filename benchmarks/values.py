"""Single numbers in the prose of the documents, filled in from where they are decided:

    at most <!--= engine/plan.py:METRICS_TOKENS -->16,384<!--=--> tokens

names a constant of a file of the package; `%` after it writes a share as a percentage,
`settings:seeds` is a default, and `results:growth tokens` a figure of `FIGURES`.

    python -m benchmarks.pages
"""

from __future__ import annotations

import ast
import functools
import json
import re
from typing import TYPE_CHECKING

from benchmarks import meaning
from benchmarks.documents import DOCS
from pytest_crossdiff.settings import fields

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROOT = DOCS.parent
PACKAGE, RESULTS = ROOT / "pytest_crossdiff", ROOT / "benchmarks"
VALUE = re.compile(r"<!--= (\S+?):(.+?) -->(.*?)<!--=-->")


def pages() -> dict[Path, str]:
    """The text of every page that has such numbers, with what they are now."""
    texts = {page: page.read_text("utf-8") for page in [ROOT / "README.md", *DOCS.rglob("*.md")]}
    return {page: filled(text) for page, text in texts.items() if VALUE.search(text)}


def filled(text: str) -> str:
    """`text` with each number as it is now.  Raises `KeyError` for what is nowhere."""

    def written(found: re.Match[str]) -> str:
        source, name, _ = found.groups()
        return f"<!--= {source}:{name} -->{value(source, name)}<!--=-->"

    return VALUE.sub(written, text)


def value(source: str, name: str) -> str:
    """The number in words."""
    if source == "results":
        return FIGURES[name]()
    if source == "settings":
        return _written({row.name: row.default for row in fields()}[name])
    name, _, unit = name.partition(" ")
    number = constants(PACKAGE / source)[name]
    return (
        f"{100 * number:.4g} %" if unit == "%" and isinstance(number, float) else _written(number)
    )


@functools.cache
def constants(file: Path) -> dict[str, object]:
    """The names of a module that are assigned plain values, which it takes no import to read."""
    found: dict[str, object] = {}
    for node in ast.parse(file.read_text("utf-8")).body:
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        try:
            assigned = ast.literal_eval(node.value)
        except ValueError:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                found[target.id] = assigned
            elif isinstance(target, ast.Tuple):
                names = [part.id for part in target.elts if isinstance(part, ast.Name)]
                found |= dict(zip(names, assigned, strict=True))
    return found


def _written(number: object) -> str:
    return f"{number:g}" if isinstance(number, float) else f"{number:,}"


def _read(name: str) -> dict:
    return json.loads((RESULTS / name).read_text("utf-8"))


def _times_as_fast(trainers: tuple[str, ...]) -> str:
    """How many times as long the fastest of others takes for a step as the default."""
    rows = _read("peers/results/peers.json")["rows"]
    steps = {row["trainer"]: row["CPU ms a step"] for row in rows}
    fastest = min(ms for name, ms in steps.items() if name.startswith(trainers))
    return f"{fastest / steps['pytest-crossdiff innovation']:.1f}"


def _exponent(of: str) -> str:
    return f"{_read('speed/results/growth.json')['exponents'][of]:.2f}"


GROWN = ("tokens", "features", "width", "active")
FIGURES: dict[str, Callable[[], str]] = {
    "peers top-k": lambda: _times_as_fast(("eai-sparsify",)),
    "peers batch-top-k": lambda: _times_as_fast(("modeldiffr", "dictionary-learning", "sae-lens")),
    **{
        f"growth {of}": functools.partial(_exponent, of)
        for of in ("tokens", "features", "width", "active")
    },
    "planted": lambda: str(meaning.planted().trials),
    "planted found in a block": lambda: str(meaning.planted("gate").hits),
    "planted found in the output": lambda: str(meaning.planted("output").hits),
    "planted found in either": lambda: str(meaning.planted().hits),
}
"""Figures of committed results, by what they say."""
