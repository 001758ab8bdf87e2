"""What a message points to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Pointers(NamedTuple):
    """entry: folder of the artefact, None for none.  page: file of the report page as seen from the
    root folder, "" where none is written.  command: runs the test again.
    """

    entry: Path | None = None
    page: str = ""
    command: str = "pytest --crossdiff"


NOWHERE = Pointers()
