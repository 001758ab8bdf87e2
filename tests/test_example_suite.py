"""Real models from the package index, through real pytest: the example's first two stories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


def run(*which: str) -> str:
    """The output of the example suite's tests `which`, which must end green."""
    # One dictionary in place of three: what each dictionary finds is tested elsewhere.
    command = [sys.executable, "-m", "pytest", "-rxs", "--crossdiff-seeds=1"]
    command += [f"example_suite/{name}" for name in which]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_quantised_copy_passes_and_a_fine_tune_fails_and_says_why() -> None:
    said = run("test_1_quantised_copy.py", "test_2_fine_tuned_encoder.py")
    assert "within budget" in said
    assert "OVER BUDGET" in said
    assert "⟦pod⟧" in said
    assert "1 xfailed" in said
    assert "skipped" not in said


def test_the_second_run_answers_from_the_cache() -> None:
    said = run("test_1_quantised_copy.py", "test_2_fine_tuned_encoder.py::test_gate")
    assert said.count("from cache") == 2
