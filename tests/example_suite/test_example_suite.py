"""Real models from the package index, through real pytest: the example's first two stories."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
TOLD = ("test_gate", "test_the_gate_names_words_of_the_trade")


def run(*which: str) -> str:
    """The output of the example suite's tests `which`, which must end green."""
    # One dictionary instead of three, and two thirds of the text: minutes less.
    command = [sys.executable, "-m", "pytest", "-rxs", "--xfail-tb"]
    command += ["--crossdiff-seeds=1", "--crossdiff-tokens=25000"]
    command += [f"example_suite/{name}" for name in which]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_quantised_copy_passes_and_a_fine_tune_fails_and_says_why() -> None:
    said = run("test_1_quantised_copy.py", *(f"test_2_fine_tuned_encoder.py::{t}" for t in TOLD))
    assert "within budget" in said
    assert "OVER BUDGET" in said
    trade = "pod|pods|Pod|storage|store|disk|node|memory|replica|load"
    assert re.search(rf"⟦ ?({trade})⟧|kubel⟦et⟧", said)
    assert "1 xfailed" in said
    assert "skipped" not in said


def test_the_second_run_answers_from_the_cache() -> None:
    said = run("test_1_quantised_copy.py", "test_2_fine_tuned_encoder.py::test_gate")
    assert said.count("from cache") == 2
