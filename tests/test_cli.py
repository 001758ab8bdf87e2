"""`crossdiff run`, the gate for scripts."""

from __future__ import annotations

import subprocess
import sys

import pytest

from conftest import PAIR
from fake_engine import install_for_subprocess
from results import make_difference, make_model, make_result


@pytest.fixture
def crossdiff(project, monkeypatch):
    """Call the command in a process of its own, with an engine that answers `result`."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p fake_engine")
    monkeypatch.setenv("PYTHONPATH", str(project.path))

    def call(result, *arguments):
        install_for_subprocess(project.path, result)
        return subprocess.run(
            [sys.executable, "-m", "pytest_crossdiff", *arguments],
            cwd=project.path,
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def test_within_budget_is_0(project, crossdiff):
    project.makepyfile("raise RuntimeError('test files are not even imported')")
    done = crossdiff(make_result(), "run")
    assert done.returncode == 0, done.stdout
    assert "within budget: org/old block 6 -> org/new block 6" in done.stdout.splitlines()


def test_workers_that_the_ini_file_asks_for_are_not_started(project, crossdiff):
    pytest.importorskip("xdist")
    project.makefile(".ini", pytest=f"[pytest]\naddopts = -n2\n{PAIR}")
    project.makepyfile("raise RuntimeError('test files are not even imported')")
    done = crossdiff(make_result(), "run")
    assert done.returncode == 0, done.stdout
    assert "workers" not in done.stdout


def test_a_budget_exceeded_is_1(crossdiff):
    done = crossdiff(make_result(make_difference()), "run")
    assert done.returncode == 1
    assert "CANDIDATE-ONLY: 1 difference, budget 0; joint strength 0.01" in done.stdout


def test_flags_are_those_of_pytest_without_their_prefix(crossdiff):
    done = crossdiff(make_result(make_difference()), "run", "-q", "--max-candidate-only", "1")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].startswith("1 passed")


@pytest.mark.parametrize(
    ("result", "arguments", "message"),
    [
        (make_result(candidate=make_model(fve=0.0)), [], "no verdict: the dictionary explains"),
        (make_result(), ["--layer=x"], "crossdiff_layer = 'x' is not valid"),
        (make_result(), ["--baseline="], "crossdiff_baseline is not set"),
    ],
)
def test_not_measured_is_2(crossdiff, result, arguments, message):
    done = crossdiff(result, "run", *arguments)
    assert done.returncode == 2
    assert message in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_misspelt_setting_in_the_ini_file_is_2(project, crossdiff):
    project.makefile(".ini", pytest="[pytest]\ncrossdiff_leyer = 3")
    done = crossdiff(make_result(), "run")
    assert done.returncode == 2
    assert "did you mean crossdiff_layer?" in done.stderr


def test_help_lists_every_flag(capsys):
    from pytest_crossdiff.cli import main

    with pytest.raises(SystemExit):
        main(["run", "--help"])
    text = capsys.readouterr().out
    assert "--max-candidate-only-strength" in text
    assert "--trust-remote-code" not in text
