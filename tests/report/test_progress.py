"""Progress on the terminal while pytest captures what tests print."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time

import pytest

from pytest_crossdiff.progress import Expected, SilentProgress
from pytest_crossdiff.report.live import outlook, progress
from pytest_crossdiff.report.live.outlook import Outlook
from pytest_crossdiff.report.live.progress import TerminalProgress
from support.fake_engine import install_for_subprocess
from support.results import make_result

TEST = "def test_it(crossdiff): pass"


def test_without_a_terminal_v_gives_each_phase_a_line_at_its_start_and_its_end(project, engine):
    project.makepyfile(test_it=TEST)
    project.runpytest("-v").stdout.fnmatch_lines(
        ["crossdiff: harvest baseline: 4 tokens", "crossdiff: harvest baseline: done in 0.0 s"],
        consecutive=True,
    )


@pytest.mark.parametrize("capture", ["fd", "sys", "no", "tee-sys"])
def test_it_is_seen_whatever_is_captured(project, engine, capture):
    project.makepyfile(test_it=TEST)
    result = project.runpytest(f"--capture={capture}", "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["crossdiff: harvest baseline: done in 0.0 s"])


def test_it_is_not_taken_for_output_of_the_test(project, engine):
    project.makepyfile(
        test_it="def test_it(crossdiff, capfd): assert capfd.readouterr() == ('', '')"
    )
    project.runpytest("-v").assert_outcomes(passed=1)
    project.makepyfile(
        test_it="def test_it(capfd, crossdiff_factory):\n"
        "    crossdiff_factory()\n    assert capfd.readouterr() == ('', '')"
    )
    result = project.runpytest("-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["crossdiff: harvest baseline: done in 0.0 s"])


def test_what_is_quick_is_not_told_without_v(project, engine):
    project.makepyfile(test_it=TEST)
    project.runpytest().stdout.no_fnmatch_line("crossdiff: harvest*")


AMONG_TESTS = """
import pytest
from pytest_crossdiff.report.live.progress import progress_for

@pytest.fixture(scope="session")
def told(pytestconfig): return progress_for(pytestconfig)

def test_a(): pass

def test_b(told): told.estimate("a -> b: this will take about 30 seconds", 30.0)

def test_c(told):
    told.estimate("a -> c: this will take about 2 minutes", 120.0)
    told.note("waiting")

def test_d(): pass
"""


def test_among_dots_the_name_of_the_file_stands_once_and_a_short_wait_has_no_line(project):
    project.makepyfile(test_it=AMONG_TESTS)
    lines = project.runpytest().outlines
    at = next(i for i, line in enumerate(lines) if line.startswith("test_it.py"))
    assert lines[at : at + 3] == [
        "test_it.py .(about 30 seconds) .",
        "crossdiff: a -> c: this will take about 2 minutes",
        "crossdiff: waiting",
    ]
    assert lines[at + 3].split() == ["..", "[100%]"]


def test_where_the_line_is_nearly_full_it_stands_on_the_next(project, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    name = "test_that_has_a_long_name"
    project.makepyfile(**{name: AMONG_TESTS})
    lines = project.runpytest().outlines
    at = next(i for i, line in enumerate(lines) if line.startswith(name))
    assert lines[at : at + 2] == [f"{name}.py .", "(about 30 seconds) ."]


def test_with_v_each_has_its_line_in_front_of_the_test_s(project):
    project.makepyfile(test_it=AMONG_TESTS)
    project.runpytest("-v").stdout.fnmatch_lines(
        [
            "test_it.py::test_b *",
            "crossdiff: a -> b: this will take about 30 seconds",
            "test_it.py::test_b PASSED*",
        ]
    )


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


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(outlook.time, "monotonic", lambda: now[0])
    return now


def test_with_an_interval_a_line_comes_when_the_last_one_is_that_long_ago(clock):
    lines = []
    told = TerminalProgress(contextlib.nullcontext, lines.append, bars=False, interval=30)
    told.expect([Expected("read", 100, "reading"), Expected("train", 60, "training")])
    told.note("about 3 minutes")
    told.detail("loading")
    with told.phase("read", 10, "token") as phase:
        for _ in range(10):
            clock[0] += 10
            phase.advance(1)
    with told.phase("train", 2, "step") as phase:
        clock[0] += 9
        phase.advance(2)
    clock[0] += 100  # other tests
    told.detail("looking at the next models")
    assert lines == [
        "crossdiff: about 3 minutes",
        "crossdiff: [1/2] read: 3 of 10 tokens, about 2 minutes left",
        "crossdiff: [1/2] read: 6 of 10 tokens, about 2 minutes left",
        "crossdiff: [1/2] read: 9 of 10 tokens, about 1 minute left",
        "crossdiff: [1/2] read: done in 1 min 40 s, about 1 minute left",
    ]


def test_a_run_that_was_said_to_be_short_has_a_line_only_when_it_is_not(clock):
    lines, words = [], []
    told = TerminalProgress(
        contextlib.nullcontext, lines.append, bars=False, interval=60, within_line=words.append
    )
    told.estimate("a -> b: this will take about 40 seconds", 41.0)
    with told.phase("read", 10, "token") as phase:
        for _ in range(10):
            clock[0] += 10
            phase.advance(1)
    assert words == ["(about 40 seconds) "]
    assert lines == [
        "crossdiff: read: 6 of 10 tokens, about 40 seconds left",
        "crossdiff: read: done in 1 min 40 s",
    ]


def test_the_longer_a_run_takes_the_rarer_are_its_lines(clock):
    lines = []
    told = TerminalProgress(contextlib.nullcontext, lines.append, bars=False, interval=30)
    with told.phase("read", 36_000, "token") as phase:
        for _ in range(36_000):  # ten hours
            clock[0] += 1
            phase.advance(1)
    # 20 in the first ten minutes, then each when a 20th more has passed: log(60) / log(20 / 19)
    assert len(lines) == 20 + 80


class TestTimeLeft:
    """Of phases that were expected, on a clock that the test sets."""

    def test_each_phase_has_its_number_and_the_end_says_what_is_left(self, clock):
        lines = []
        told = TerminalProgress(contextlib.nullcontext, lines.append, bars=False)
        told.expect([Expected("read", 60, "reading"), Expected("train", 600, "training")])
        with told.phase("read", 10, "token"):
            clock[0] += 60
        with told.phase("a surprise", 1, "token"):
            clock[0] += 1
        with told.phase("train", 10, "step"):
            clock[0] += 600
        assert lines == [
            "crossdiff: [1/2] read: 10 tokens",
            "crossdiff: [1/2] read: done in 1 min 0 s, about 10 minutes left",
            "crossdiff: a surprise: 1 token",
            "crossdiff: a surprise: done in 1.0 s, about 10 minutes left",
            "crossdiff: [2/2] train: 10 steps",
            "crossdiff: [2/2] train: done in 10 min 0 s",
        ]

    def test_what_phases_take_corrects_what_is_expected_of_their_kind(self, clock):
        seen = Outlook()
        phases = ("read a", 10, "reading"), ("read b", 10, "reading"), ("train", 100, "training")
        seen.expect([Expected(*phase) for phase in phases])
        assert seen.left() == pytest.approx(120)
        seen.begin("read a")
        clock[0] += 30
        seen.end()
        assert seen.left() == pytest.approx(30 + 300), "nothing is known of training yet"
        seen.begin("read b")
        clock[0] += 10
        seen.advance(0.5)
        assert seen.left() == pytest.approx(10 + 300)
        clock[0] += 10
        seen.end()
        seen.begin("train")
        clock[0] += 20
        seen.advance(0.25)
        assert seen.left() == pytest.approx(60)

    def test_a_phase_that_the_run_leaves_out_is_not_waited_for(self, clock):
        seen = Outlook()
        seen.expect([Expected("replies", 10, "x"), Expected("train", 10, "x")])
        seen.begin("train")
        clock[0] += 5
        seen.end()
        assert seen.left() is None

    def test_another_run_is_told_by_itself_and_another_layer_together(self, clock):
        seen = Outlook()
        seen.expect([Expected("read", 10, "x"), Expected("train (0.5)", 10, "x")])
        seen.expect([Expected("train (0.5)", 10, "x"), Expected("train (output)", 10, "x")])
        assert seen.number("train (output)") == "[3/3] "
        seen.begin("read")
        seen.end()
        seen.expect([Expected("read", 10, "x"), Expected("train (0.5)", 10, "x")])
        assert seen.number("read") == "[1/2] "


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
        assert "4/10, loss 0.5" in drawn
        assert [line.rpartition(" in ")[0] for line in lines] == ["crossdiff: train: done"]

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
        command = [sys.executable, "-m", "pytest", "-v", "-p", "fake_engine"]
        shown = _on_a_terminal(command, project.path)
        assert "crossdiff: harvest baseline:   0%|" in shown
        assert "crossdiff: harvest baseline: done in 0." in shown
        assert "1 passed" in shown

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
    def test_on_a_terminal_what_is_done_now_passes_by_and_leaves_a_dot(self, project):
        project.makepyfile(
            test_it="""
            from pytest_crossdiff.report.live.progress import progress_for

            def test_first(): pass

            def test_it(pytestconfig):
                told = progress_for(pytestconfig)
                told.detail("looking at both models")
                told.estimate("a -> b: this will take about 30 seconds", 30.0)
                told.estimate("a -> c: this will take about 2 minutes", 120.0)
                told.detail("loading the candidate")
            """
        )
        shown = _on_a_terminal([sys.executable, "-m", "pytest", "--color=no"], project.path)
        lines = shown.splitlines(keepends=True)
        at = next(i for i, line in enumerate(lines) if line.startswith("test_it.py"))
        passed = [line.strip("\r ") for line in "".join(lines[at:]).splitlines()]
        assert passed[:3] == ["test_it.py .", "crossdiff: looking at both models", ""]
        left = [line.split("\r")[-1] for line in "".join(lines[at:]).split("\r\n")]
        assert left[:2] == ["test_it.py .", "crossdiff: a -> c: this will take about 2 minutes"]
        assert left[2].split() == [".", "[100%]"]
        in_lines = [sys.executable, "-m", "pytest", "--color=no", "--capture=no"]
        assert "\ncrossdiff: loading the candidate\r\n" in _on_a_terminal(in_lines, project.path)

    @pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
    def test_quick_phases_leave_no_line_behind(self, project):
        project.makepyfile(
            test_it="""
            from pytest_crossdiff.report.live.progress import progress_for

            def test_it(pytestconfig):
                told = progress_for(pytestconfig)
                for name in ("first", "second", "third"):
                    with told.phase(name, 1, "step") as phase:
                        phase.advance()
            """
        )
        shown = _on_a_terminal([sys.executable, "-m", "pytest"], project.path)
        before, _, bars = shown.partition("crossdiff: first")
        assert before.endswith("test_it.py \r\n\r")
        assert "crossdiff: third" in bars
        assert "\n" not in bars[: bars.rindex("crossdiff: third")]


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
