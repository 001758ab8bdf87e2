"""Calls of the `crossdiff` command in processes of their own, as users make them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import planted

if TYPE_CHECKING:
    from pathlib import Path

INI = """[pytest]
crossdiff_baseline = models/v1
crossdiff_candidate = models/v2
crossdiff_layer = 0
crossdiff_tokens = 12000
crossdiff_features = 512
crossdiff_k = 6
crossdiff_steps = 250
crossdiff_batch_size = 512
crossdiff_learning_rate = 0.003
crossdiff_seeds = 1
crossdiff_controls = false
crossdiff_cache_dir = cache
"""


def crossdiff(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run it in `folder`; the environment is ours, with `environment` over it."""
    clean = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    clean |= {"PYTEST_ADDOPTS": "-p no:hypothesispytest", "COLUMNS": "100", **environment}
    return subprocess.run(
        [sys.executable, "-m", "pytest_crossdiff", *arguments],
        cwd=folder,
        env=clean,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def make_project(folder: Path) -> Path:
    """Two models, the second of which can't tell the words of `planted.MERGED` apart."""
    planted.plain(folder / "models" / "v1")
    planted.merged(folder / "models" / "v2")
    (folder / "pytest.ini").write_text(INI, "utf-8")
    return folder
