"""Every generated table and plot of the documents, drawn again from the committed results.

    python -m benchmarks.pages

What measures them anew is named beside each; this takes seconds and needs no model.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from benchmarks import p_values, recognition, toy_page
from benchmarks.evidence import PAGE, put
from benchmarks.organisms import page as organisms
from benchmarks.organisms.sections import organisms_section, real_section

if TYPE_CHECKING:
    from pathlib import Path


def blocks() -> dict[tuple[Path, str], str]:
    """The text of every generated block, by its page and name."""
    measured = json.loads(organisms.RESULTS.read_text("utf-8"))
    found = {(PAGE, name): text for name, text in toy_page.tables().items()}
    rows = json.loads(p_values.FILE.read_text("utf-8"))["rows"]
    accepted = json.loads(recognition.FILE.read_text("utf-8"))
    return found | {
        (PAGE, "p-values"): p_values.table(rows),
        (PAGE, "organisms"): organisms_section(measured),
        (PAGE, "real-upgrades"): real_section(measured),
        (recognition.PAGE, "recognition"): recognition.table(accepted),
    }


def main() -> None:
    """Write the blocks and draw the plots."""
    toy_page.main()
    organisms.tell(json.loads(organisms.RESULTS.read_text("utf-8")))
    for (page, name), text in blocks().items():
        put(name, text, page)


if __name__ == "__main__":
    main()
