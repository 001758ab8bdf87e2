"""Under pytest-xdist the workers measure and the main process tells."""

from __future__ import annotations

import pytest

import fake_engine
from results import make_difference, make_result

pytest.importorskip("xdist")

TESTS = """
import pytest

@pytest.mark.parametrize("n", range(4))
def test_it(crossdiff, n):
    if n == 3:
        crossdiff.assert_within_budget()

def test_factory(crossdiff_factory):
    crossdiff_factory(leyer=1)
"""


def test_pairs_and_verdicts_reach_the_main_process(project):
    fake_engine.install_for_subprocess(project.path, make_result(make_difference()))
    project.makeconftest(
        """
        def pytest_crossdiff_result(config, result):
            with open("results.txt", "a") as file:
                file.write(f"{result.key} {hasattr(config, 'workerinput')}\\n")
        """
    )
    project.makepyfile(test_it=TESTS)
    result = project.runpytest_subprocess("-p", "fake_engine", "-n2", "--junitxml=junit.xml")
    result.assert_outcomes(failed=1, passed=3, errors=1)
    result.stdout.fnmatch_lines(
        [
            "crossdiff (pytest.ini): baseline=org/old, candidate=org/new",
            "*= crossdiff =*",
            "OVER BUDGET: org/old block 6 -> org/new block 6",
            "  candidate-only  1 difference, budget 0; joint strength 0.01",
        ]
    )
    result.stdout.fnmatch_lines(
        ["FAILED test_it.py::test_it[[]3[]] - CANDIDATE-ONLY: 1 difference, budget 0; *"]
    )
    result.stdout.fnmatch_lines(["ERROR test_it.py::test_factory - unknown setting 'leyer'"])
    assert result.outlines.count("OVER BUDGET: org/old block 6 -> org/new block 6") == 1
    result.stdout.no_fnmatch_line("*crossdiff: harvest*")
    assert (project.path / "results.txt").read_text() == "key False\n"


def test_messages_are_as_wide_as_the_main_process_s_terminal(project, monkeypatch):
    difference = make_difference(tokens=tuple(f" word{i}" for i in range(40)))
    fake_engine.install_for_subprocess(project.path, make_result(difference))
    monkeypatch.setenv("COLUMNS", "120")
    project.makeconftest(
        """
        import os

        def pytest_configure_node(node):
            os.environ.pop("COLUMNS", None)
        """
    )
    project.makepyfile("def test_it(crossdiff): assert crossdiff.width == 120")
    project.runpytest_subprocess("-p", "fake_engine", "-n1").assert_outcomes(passed=1)
