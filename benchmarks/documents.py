"""Generated blocks and plots of the documents."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

DOCS = Path(__file__).parents[1] / "docs"
IMAGES = DOCS / "img"


def write_block(block: str, text: str, file: Path) -> None:
    """Replace the generated block of that name on a page; add it at the end where it is new."""
    begin, end = f"<!-- {block}: begin, generated -->", f"<!-- {block}: end -->"
    page = file.read_text(encoding="utf-8")
    made = f"{begin}\n{text.strip()}\n{end}\n"
    if begin in page:
        before, _, rest = page.partition(begin)
        page = before + made + rest.partition(f"{end}\n")[2]
    else:
        page = page.rstrip() + "\n\n" + made
    file.write_text(page, encoding="utf-8")


def write_blocks(texts: Mapping[tuple[Path, str], str]) -> None:
    """Write generated blocks, by page and name."""
    for (page, block), text in texts.items():
        write_block(block, text, page)


def pyplot() -> ModuleType:
    """Matplotlib (the group `evidence`), drawing to files."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot
