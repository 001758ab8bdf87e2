"""Where the example keeps its models: built once, whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

if TYPE_CHECKING:
    from collections.abc import Callable


def cache_folder() -> Path:
    """The folder of the example's models under the user's cache, which need not exist yet."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        root = Path(base)
    elif sys.platform == "win32":
        root = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        root = Path.home() / "Library" / "Caches"
    else:
        root = Path.home() / ".cache"
    return root / "pytest-crossdiff" / "example-models"


def built_once(name: str, build: Callable[[Path], None]) -> Path:
    """The cached folder `name`; where there is none, `build` fills one that becomes it.

    A lock per name lets parallel test processes wait for the one that builds.  The folder appears
    by a rename, so that what an interrupted build leaves is never taken for a model.
    """
    final = cache_folder() / name
    if final.is_dir():
        return final
    final.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{final}.lock"):
        if final.is_dir():
            return final
        unfinished = Path(tempfile.mkdtemp(prefix=f"{name}.unfinished-", dir=final.parent))
        try:
            build(unfinished)
            unfinished.rename(final)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return final
