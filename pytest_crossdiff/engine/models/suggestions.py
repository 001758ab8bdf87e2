"""What may have been meant by a path at which there is no model."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.models.sources.files import ADAPTER_CONFIG, CONFIG

if TYPE_CHECKING:
    from pathlib import Path


def similar_path(path: Path) -> str:
    """A remedy that names what is there and sounds like `path`, or ""."""
    folder = path.absolute().parent
    names = [child.name for child in folder.iterdir()] if folder.is_dir() else []
    found = difflib.get_close_matches(path.name, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(str(folder / name) for name in found)}?" if found else ""


def contents(folder: Path) -> str:
    """What a folder holds, in a few words."""
    names = sorted(child.name + "/" * child.is_dir() for child in folder.iterdir())
    if not names:
        return "nothing"
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def better_path(folder: Path) -> str:
    """What may have been meant by a folder that isn't a model: the latest checkpoints first."""
    below = {file.parent for name in (CONFIG, ADAPTER_CONFIG) for file in folder.glob(f"*/{name}")}
    found = [*sorted(folder.glob("*.gguf")), *sorted(below, key=_by_step)]
    if not found:
        return "give the folder that `save_pretrained` wrote"
    return f"did you mean {' or '.join(str(path) for path in found[:3])}?"


def _by_step(folder: Path) -> tuple[int, str]:
    """A trainer's latest checkpoint before the earlier ones, other folders after them."""
    step = re.fullmatch(r"checkpoint-(\d+)", folder.name)
    return (-int(step[1]) if step else 1, folder.name)
