"""Every generated table, plot and number of the documents, drawn again from the committed results.

    python -m benchmarks.pages

What measures them again is named beside each; this takes seconds and needs no model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import glance, meaning, scaled, values
from benchmarks.assistants import page as assistants
from benchmarks.assistants import references, workflow
from benchmarks.documents import IMAGES, write_blocks
from benchmarks.inside import page as inside
from benchmarks.organisms import page as organisms
from benchmarks.population import page as population
from benchmarks.real import page as real
from benchmarks.speed import page as speed
from benchmarks.speed import projections
from benchmarks.toy import page as toy

if TYPE_CHECKING:
    from pathlib import Path


def blocks() -> dict[tuple[Path, str], str]:
    """The text of every generated block, by its page and name."""
    pages = (
        glance, meaning, toy, organisms, scaled, real, speed, projections, assistants, references,
        workflow, population, inside,
    )  # fmt: skip
    return {key: text for page in pages for key, text in page.tables().items()}


def main() -> None:
    """Write the blocks and draw the plots."""
    write_blocks(blocks())
    for page, text in values.pages().items():
        page.write_text(text, "utf-8")
    IMAGES.mkdir(parents=True, exist_ok=True)
    toy.draw()
    organisms.draw()
    meaning.draw()


if __name__ == "__main__":
    main()
