"""The short form of the attacks; the long one is `PYTHONPATH=tests python -m torture`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
def test_every_promise_holds_under_a_few_attacks():
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-m", "torture", "--short"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tests), str(tests.parent)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("everything held\n")
