"""Generated blocks and plots of the documents, first of all of `docs/evidence.md`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

DOCS = Path(__file__).parents[1] / "docs"
EVIDENCE, ACCEPTING, IMAGES = DOCS / "evidence.md", DOCS / "accepting.md", DOCS / "img"


def write_block(block: str, text: str, file: Path = EVIDENCE) -> None:
    """Replace the generated block of that name on a page; add it at the end where it is new."""
    begin, end = f"<!-- {block}: begin, generated -->", f"<!-- {block}: end -->"
    page = file.read_text(encoding="utf-8") if file.exists() else "# Evidence\n"
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
    """Matplotlib (the `evidence` extra), drawing to files."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot
