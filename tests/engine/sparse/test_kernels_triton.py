"""The Triton kernels on a GPU, or else in Triton's interpreter, which has to be asked for before
anything imports Triton: so in a process of their own.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

FILE = Path(__file__).parents[2] / "support" / "triton_products.py"


def version() -> tuple[int, ...]:
    """Triton's; () where it isn't installed."""
    try:
        return tuple(map(int, importlib.metadata.version("triton").split(".")[:2]))
    except importlib.metadata.PackageNotFoundError:
        return ()


# The interpreter of 3.6 asks of numpy what numpy 2.4 refuses.
@pytest.mark.skipif(
    version() < ((1,) if torch.cuda.is_available() else (3, 8)),
    reason="Triton, without a GPU 3.8 or later, isn't installed (pip install triton)",
)
def test_they_do_what_the_plain_kernels_do() -> None:
    how = {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(FILE)]
    done = subprocess.run(
        command, check=False, env=os.environ | how, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout
    assert "7 passed" in done.stdout
