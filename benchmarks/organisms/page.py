"""Text, tables and plots of `docs/evidence/organisms.md`, from the committed results.

python -m benchmarks.organisms.page
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.documents import DOCS, IMAGES, write_blocks
from benchmarks.organisms.collected import read
from benchmarks.organisms.pages.comparison import ALTERNATIVES
from benchmarks.organisms.pages.plots import draw_alternatives, draw_sweep
from benchmarks.organisms.pages.section import organisms_section
from benchmarks.organisms.pages.variations import by_tokens

if TYPE_CHECKING:
    from pathlib import Path

PAGE = DOCS / "evidence" / "organisms.md"


def tables() -> dict[tuple[Path, str], str]:
    """The generated blocks, by page and name."""
    return {(PAGE, "organisms"): organisms_section(read())}


def draw() -> None:
    """The plots."""
    collected = read()
    rows = collected["organisms"]
    if any(r["others"] for r in rows):
        draw_alternatives(
            rows, {"score": "the gate in a block", **ALTERNATIVES}, IMAGES / "organisms-roc.png"
        )
    if collected["sweep"]:
        draw_sweep(by_tokens(collected), IMAGES / "organisms-tokens.png")


def main() -> None:
    """Draw everything from the committed results."""
    draw()
    write_blocks(tables())


if __name__ == "__main__":
    main()
