"""Calls of `crossdiff` and of pytest in processes of their own, as users make them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from support import planted
from support.tokenizers import TEXTS

if TYPE_CHECKING:
    from pathlib import Path


PAIR = "crossdiff_baseline = org/old\ncrossdiff_candidate = org/new\n"
"""A pair that exists nowhere, as lines of a configuration file."""


def crossdiff(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run it in `folder`; the environment is ours, with `environment` over it."""
    return _run("pytest_crossdiff", folder, arguments, environment)


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """The same for pytest."""
    return _run("pytest", folder, arguments, {})


def _run(
    module: str, folder: Path, arguments: tuple[str, ...], environment: dict[str, str]
) -> subprocess.CompletedProcess:
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    clean |= {"PYTEST_ADDOPTS": "-p no:hypothesispytest", "COLUMNS": "100", **environment}
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=clean,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def make_project(folder: Path, **settings: object) -> Path:
    """Two models, the second of which can't tell the words of `planted.MERGED` apart, texts, and a
    pytest.ini that compares them quickly.
    """
    planted.plain(folder / "models" / "v1")
    planted.merged(folder / "models" / "v2")
    shutil.copy(TEXTS, folder / "texts.jsonl")
    settings |= {"baseline": "models/v1", "candidate": "models/v2"}
    settings |= {"corpus": "texts.jsonl", "cache_dir": "cache"}
    (folder / "pytest.ini").write_text(f"[pytest]\n{planted.ini(**settings)}", "utf-8")
    return folder
