"""Where the example keeps its models: built once, whole or not at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
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


def on_stderr(model: CachedModel) -> None:
    """Say which model is made, and what that takes."""
    print(f"example: {model.name}: {model.work}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class CachedModel:
    """A model of the example.  Called, it gives its folder, and fills it first where there is none.

    name: of the folder, with the version of what it is made of.  build: fills an empty folder.
    work: what that takes, in a few words.
    """

    name: str
    build: Callable[[Path], None]
    work: str

    @property
    def folder(self) -> Path:
        """Where the model lies or will lie."""
        return cache_folder() / self.name

    def __call__(self, say: Callable[[CachedModel], object] = on_stderr) -> Path:
        """The folder with the model in it.  say: called before it is filled.

        A lock per name lets parallel test processes wait for the one that builds.  The folder
        appears by a rename, so what an interrupted build leaves is never taken for a model.
        """
        final = self.folder
        if final.is_dir():
            return final
        final.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{final}.lock"):
            if final.is_dir():
                return final
            for leftover in final.parent.glob(f"{self.name}.unfinished-*"):
                shutil.rmtree(leftover)  # of a build that was killed: the lock is ours
            unfinished = Path(tempfile.mkdtemp(prefix=f"{self.name}.unfinished-", dir=final.parent))
            try:
                say(self)
                self.build(unfinished)
                unfinished.rename(final)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
        return final


def model(name: str, work: str = "") -> Callable[[Callable[[Path], None]], CachedModel]:
    """Make a `CachedModel` of the function that builds it."""

    def decorate(build: Callable[[Path], None]) -> CachedModel:
        return CachedModel(name, build, work)

    return decorate
