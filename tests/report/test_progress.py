"""Progress on the terminal while pytest captures what tests print."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time

import pytest

from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.report.live import progress
from pytest_crossdiff.report.live.progress import TerminalProgress
from support.fake_engine import install_for_subprocess
from support.results import make_result

TEST = "def test_it(crossdiff): pass"


def test_without_a_terminal_each_phase_has_a_line_at_its_start_and_its_end(project, engine):
    project.makepyfile(test_it=TEST)
    project.runpytest().stdout.fnmatch_lines(
        ["crossdiff: harvest baseline: 4 tokens", "crossdiff: harvest baseline: done in 0.0 s"],
        consecutive=True,
    )


@pytest.mark.parametrize("capture", ["fd", "sys", "no", "tee-sys"])
def test_it_is_seen_whatever_is_captured(project, engine, capture):
    project.makepyfile(test_it=TEST)
    result = project.runpytest(f"--capture={capture}")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["crossdiff: harvest baseline: done in 0.0 s"])


def test_it_is_not_taken_for_output_of_the_test(project, engine):
    project.makepyfile(
        test_it="def test_it(crossdiff, capfd): assert capfd.readouterr() == ('', '')"
    )
    project.runpytest().assert_outcomes(passed=1)
    project.makepyfile(
        test_it="def test_it(capfd, crossdiff_factory):\n"
        "    crossdiff_factory()\n    assert capfd.readouterr() == ('', '')"
    )
    result = project.runpytest()
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["crossdiff: harvest baseline: done in 0.0 s"])


def test_quiet_is_quiet(project, engine):
    project.makepyfile(test_it=TEST)
    project.runpytest("-q").stdout.no_fnmatch_line("crossdiff: harvest*")


def test_a_phase_that_breaks_off_says_how_far_it_came():
    lines = []
    told = TerminalProgress(contextlib.nullcontext, lines.append, bars=False)
    with contextlib.suppress(RuntimeError), told.phase("train", 10, "step") as phase:
        phase.advance(3)
        raise RuntimeError
    assert lines == [
        "crossdiff: train: 10 steps",
        "crossdiff: train: stopped after 3 of 10 steps and 0.0 s",
    ]


def test_a_note_is_a_line():
    lines = []
    TerminalProgress(contextlib.nullcontext, lines.append, bars=False).note("waiting for a lock")
    assert lines == ["crossdiff: waiting for a lock"]


class TestBars:
    @pytest.fixture(autouse=True)
    def _draw_always(self, monkeypatch):
        monkeypatch.setattr(progress, "REFRESH", 0.0)

    def test_a_bar_shows_what_is_done_and_what_is_left(self):
        lines = []
        told = TerminalProgress(contextlib.nullcontext, lines.append, bars=True)
        with (
            contextlib.redirect_stderr(io.StringIO()) as stderr,
            told.phase("train", 10, "step") as phase,
        ):
            for _ in range(5):
                time.sleep(0.02)
                phase.advance(2, "loss 0.5")
        drawn = stderr.getvalue()
        assert "crossdiff: train:  40%" in drawn
        assert "4/10 [00:00<00:00, " in drawn
        assert "step/s, loss 0.5]" in drawn
        assert lines == ["crossdiff: train: done in 0.1 s"]

    def test_everything_is_written_where_the_capture_is_lifted(self):
        lifted = []

        class Stream(io.StringIO):
            def write(self, text):
                assert lifted
                return super().write(text)

        @contextlib.contextmanager
        def uncaptured():
            lifted.append(True)
            yield
            lifted.pop()

        def write(_):
            assert lifted

        with contextlib.redirect_stderr(Stream()) as stderr:
            told = TerminalProgress(uncaptured, write, bars=True)
            with told.phase("train", 10, "step") as phase:
                phase.advance(2)
                phase.advance(8)
        assert "crossdiff: train" in stderr.getvalue()

    def test_drawing_is_rare_however_often_work_is_reported(self, monkeypatch):
        monkeypatch.setattr(progress, "REFRESH", 1000.0)
        entered = []

        @contextlib.contextmanager
        def uncaptured():
            entered.append(True)
            yield

        told = TerminalProgress(uncaptured, lambda _: None, bars=True)
        with (
            contextlib.redirect_stderr(io.StringIO()),
            told.phase("train", 10_000, "step") as phase,
        ):
            for _ in range(10_000):
                phase.advance()
        assert len(entered) < 5

    def test_an_interrupted_bar_is_closed(self):
        lines = []
        told = TerminalProgress(contextlib.nullcontext, lines.append, bars=True)
        with (
            contextlib.redirect_stderr(io.StringIO()),
            contextlib.suppress(KeyboardInterrupt),
            told.phase("train", 10, "step") as phase,
        ):
            phase.advance(3)
            raise KeyboardInterrupt
        kept = "what is finished is kept, and the next run goes on from there"
        assert lines == [f"crossdiff: train: stopped after 3 of 10 steps and 0.0 s; {kept}"]

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
    def test_pytest_on_a_terminal_shows_a_bar_although_it_captures(self, project):
        install_for_subprocess(project.path, make_result())
        project.makepyfile(test_it=TEST)
        command = [sys.executable, "-m", "pytest", "-p", "fake_engine"]
        shown = _on_a_terminal(command, project.path)
        assert "crossdiff: harvest baseline:   0%|" in shown
        assert "crossdiff: harvest baseline: done in 0." in shown
        assert "1 passed" in shown


def _on_a_terminal(command, folder):
    """What `command` shows on a terminal of its own."""
    import pty

    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    ):
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
            while piece := os.read(ours, 4096):
                shown += piece
    os.close(ours)
    return shown.decode()


def test_a_name_that_comes_from_outside_is_spelt_out():
    lines = []
    TerminalProgress(contextlib.nullcontext, lines.append, bars=False).note("loading \x1b[2J")
    assert lines == [r"crossdiff: loading \x1b[2J"]


def test_a_worker_that_nobody_listens_to_is_silent(pytestconfig, monkeypatch):
    monkeypatch.setattr(pytestconfig, "workerinput", {}, raising=False)
    assert isinstance(progress.progress_for(pytestconfig), SilentProgress)
