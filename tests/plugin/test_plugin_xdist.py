"""Under pytest-xdist the workers measure and the main process tells."""

from __future__ import annotations

import pytest

from pytest_crossdiff.report.live import xdist_relay
from support import fake_engine
from support.results import make_difference, make_result

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
            "OVER BUDGET: org/old -> org/new, block 6 of 12",
            "  candidate-only  1 difference, budget 0; joint strength 0.01",
        ]
    )
    result.stdout.fnmatch_lines(
        ["FAILED test_it.py::test_it[[]3[]] - CANDIDATE-ONLY: 1 difference, budget 0; *"]
    )
    result.stdout.fnmatch_lines(["ERROR test_it.py::test_factory - unknown setting 'leyer'"])
    assert result.outlines.count("OVER BUDGET: org/old -> org/new, block 6 of 12") == 1
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
    project.makepyfile("def test_it(crossdiff): assert crossdiff.display.width == 120")
    project.runpytest_subprocess("-p", "fake_engine", "-n1").assert_outcomes(passed=1)


SLOW = """
import time

def test_it(crossdiff):
    time.sleep(1.5)
"""


class TestProgress:
    """A worker measures and has no terminal; the main process has one and nothing to do."""

    @pytest.fixture
    def slow(self, project, tmp_path, monkeypatch):
        fake_engine.install_for_subprocess(project.path, make_result())
        project.makepyfile(test_it=SLOW)
        (tmp_path / "temporary").mkdir()
        monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
        return project

    def test_it_is_seen_while_the_worker_is_still_busy(self, slow, tmp_path):
        result = slow.runpytest_subprocess("-p", "fake_engine", "-n1", "-v")
        result.stdout.fnmatch_lines(
            [
                "crossdiff: harvest baseline: 4 tokens",
                "crossdiff: harvest baseline: done in 0.0 s",
                "*PASSED test_it.py::test_it*",
            ]
        )
        assert list((tmp_path / "temporary").glob("crossdiff-*")) == []

    def test_quiet_is_quiet(self, slow):
        result = slow.runpytest_subprocess("-p", "fake_engine", "-n1", "-q")
        result.stdout.no_fnmatch_line("*crossdiff: harvest*")


def test_that_the_others_wait_is_said_once(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lines = []
    told = xdist_relay.Relay(lines.append)
    append = xdist_relay.appender(str(told.path))
    for _ in range(3):
        append("crossdiff: another process is at work on result 3f2a; waiting for it to finish")
        append("crossdiff: train: done in 1 s")
    told.close()
    assert sorted(lines) == [
        "crossdiff: another process is at work on result 3f2a; waiting for it to finish",
        *["crossdiff: train: done in 1 s"] * 3,
    ]
    assert list(tmp_path.iterdir()) == []
    append("crossdiff: too late")  # by a worker that is slow to end
    told.close()
    assert len(lines) == 4


def test_a_line_of_dots_is_ended_first(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    lines = []
    told = xdist_relay.Relay(lines.append, dots=True)
    told.pytest_runtest_logreport()
    append = xdist_relay.appender(str(told.path))
    append("one")
    append("two")
    told.close()
    assert lines == ["", "one", "two"]


def test_a_line_that_can_t_be_written_is_lost_and_no_more(tmp_path):
    xdist_relay.appender(str(tmp_path / "no" / "such" / "folder"))("a line")
