"""Every generated table and plot of the documents, drawn again from the committed results.

    python -m benchmarks.pages

What measures them anew is named beside each; this takes seconds and needs no model.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks import glance, p_values, recognition, toy_page
from benchmarks.evidence import PAGE, put
from benchmarks.organisms import page as organisms

if TYPE_CHECKING:
    from pathlib import Path


def blocks(measured: dict[str, Any]) -> dict[tuple[Path, str], str]:
    """The text of every generated block, by its page and name.

    measured: the organisms' results.
    """
    rows = json.loads(p_values.FILE.read_text("utf-8"))["rows"]
    evidence = (
        {"glance": glance.glance(measured)}
        | toy_page.tables()
        | {"p-values": p_values.table(rows)}
        | organisms.tables(measured)
    )
    accepted = json.loads(recognition.FILE.read_text("utf-8"))
    found = {(PAGE, name): text for name, text in evidence.items()}
    return found | {(recognition.PAGE, "recognition"): recognition.table(accepted)}


def main() -> None:
    """Write the blocks and draw the plots."""
    measured = json.loads(organisms.RESULTS.read_text("utf-8"))
    for (page, name), text in blocks(measured).items():
        put(name, text, page)
    toy_page.plot()
    organisms.draw(measured)


if __name__ == "__main__":
    main()
