"""In GitHub Actions: annotations in the log, and Markdown in the summary of the step."""

from __future__ import annotations

import pytest
from test_plugin_accepting import PODS, REASON

from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.report.ci.github import MAX_SUMMARY_BYTES, add_to_step_summary, annotation
from support import fake_engine
from support.markdown import outside_code
from support.results import make_context, make_difference, make_result

TEST = "# a test\ndef test_it(crossdiff):\n    crossdiff.assert_within_budget()\n"
HOSTILE = make_difference(
    tokens=("::stop-commands::x",),
    contexts=(
        make_context("\n::error file=a::b", "100%\r\n", "<script>@org/team"),
        make_context(" x", "::stop-commands::y"),
        make_context("::add-mask::z", ""),
    ),
)


@pytest.fixture
def actions(monkeypatch, pytester):
    """A run of GitHub Actions whose repository holds the project in a folder."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(pytester.path.parent))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    return pytester.path.name


def commands(result):
    """The lines that a runner takes for commands, whatever stands before them."""
    return [line for line in result.outlines if line.strip().startswith("::")]


class TestAnnotations:
    def test_a_budget_exceeded_stands_beside_the_test(self, project, engine, actions):
        engine.result = make_result(make_difference())
        project.makepyfile(test_it=TEST)
        (line,) = commands(project.runpytest())
        where, _, text = line.partition("::")[2].partition("::")
        assert where == (
            f"error file={actions}/test_it.py,line=2,title=crossdiff%3A CANDIDATE-ONLY%3A "
            "1 difference%2C budget 0; joint strength 0.01"
        )
        assert text.startswith(
            "BASELINE-ONLY: 0 differences, budget 0; joint strength 0 (within)%0A"
        )
        assert "What to do:%0A- wanted: read the texts" in text

    def test_the_gate_stands_beside_the_configuration_file(self, project, engine, actions):
        engine.result = make_result(make_difference())
        (line,) = commands(project.runpytest("--crossdiff", "-q"))
        assert line.startswith(f"::error file={actions}/pytest.ini,line=1,title=crossdiff%3A CAN")

    def test_what_could_not_be_measured_is_told_too(self, project, engine, actions):
        engine.error = ModelError("no such model", source="pytest.ini", remedy="name another")
        (line,) = commands(project.runpytest("--crossdiff"))
        assert line == (
            f"::error file={actions}/pytest.ini,line=1,title=crossdiff%3A no such model::"
            "  from: pytest.ini%0A  to do: name another"
        )

    def test_an_expected_failure_is_none(self, project, engine, actions):
        engine.result = make_result(make_difference())
        project.makepyfile(f"import pytest\n@pytest.mark.xfail\n{TEST}")
        assert commands(project.runpytest()) == []

    def test_what_became_of_acceptances_is_a_warning_beside_their_file(
        self, project, engine, actions
    ):
        engine.result = make_result(PODS)
        project.runpytest("--crossdiff", "--crossdiff-accept=C1", *REASON)
        engine.result = make_result(key="next")
        first, second = commands(project.runpytest("--crossdiff"))
        file = f"file={actions}/crossdiff-accepted.json,line=1"
        assert first.startswith(
            f"::warning {file},title=crossdiff%3A accepted%2C but not found%3A C1"
        )
        assert second.startswith(f"::warning {file},title=crossdiff%3A 1 entry of ")

    def test_elsewhere_there_are_none(self, project, engine, monkeypatch):
        monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
        engine.result = make_result(make_difference())
        assert commands(project.runpytest("--crossdiff")) == []

    def test_texts_of_the_corpus_are_no_commands(self, project, engine, actions):
        engine.result = make_result(HOSTILE)
        (line,) = commands(project.runpytest("--crossdiff"))
        assert line.startswith(f"::error file={actions}/pytest.ini,")

    def test_workers_annotate_once(self, project, actions):
        fake_engine.install_for_subprocess(project.path, make_result(make_difference()))
        project.makepyfile(test_it=TEST)
        result = project.runpytest_subprocess("-p", "fake_engine", "-n2")
        assert len(commands(result)) == 1


@pytest.mark.parametrize(
    ("text", "file", "expected"),
    [
        ("a", "b.py", "::error file=b.py,line=1,title=crossdiff%3A a::a"),
        (
            "a, b: c%\nd%\r\ne",
            "b.py",
            "::error file=b.py,line=1,title=crossdiff%3A a%2C b%3A c%25::d%25%0D%0Ae",
        ),
        ("a", "x,y=9::b.py", "::error file=x%2Cy=9%3A%3Ab.py,line=1,title=crossdiff%3A a::a"),
    ],
)
def test_an_annotation_is_escaped_as_github_demands(text, file, expected):
    assert annotation("error", text, file) == expected


def test_a_long_annotation_is_cut():
    assert len(annotation("error", "a\n" + "b" * 10_000, "c.py")) < 4_100


class TestStepSummary:
    def test_it_has_the_report_of_every_pair_in_markdown(self, project, engine, actions):
        engine.result = make_result(make_difference())
        (project.path / "summary.md").write_text("# before\n")
        project.makepyfile(test_it=TEST)
        project.runpytest()
        text = (project.path / "summary.md").read_text("utf-8")
        assert text.startswith("# before\n### crossdiff: org/old")
        assert "Over budget" in text
        assert "| C1 |" in text
        assert not list(project.path.glob("crossdiff-report/*.md"))

    def test_accepted_differences_are_marked(self, project, engine, actions):
        engine.result = make_result(PODS)
        project.runpytest("--crossdiff", "--crossdiff-accept=C1", *REASON)
        assert "C1 (accepted)" in (project.path / "summary.md").read_text("utf-8")

    def test_a_run_without_a_pair_adds_nothing(self, project, engine, actions):
        project.makepyfile("def test_it(): pass")
        project.runpytest()
        assert not (project.path / "summary.md").exists()

    def test_texts_stay_texts(self, project, engine, actions):
        engine.result = make_result(HOSTILE)
        project.runpytest("--crossdiff")
        text = (project.path / "summary.md").read_text("utf-8")
        assert "<script>@org/team" in text
        assert "<script>" not in outside_code(text)
        assert "@org" not in outside_code(text).replace("\\@", "")

    def test_where_it_can_not_be_written_the_run_s_own_result_stands(
        self, project, engine, actions, monkeypatch
    ):
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project.path / "missing" / "summary.md"))
        result = project.runpytest("--crossdiff")
        assert result.ret == 0
        result.stdout.fnmatch_lines(["crossdiff: no step summary: *No such file*"])

    def test_what_does_not_fit_is_left_out(self, tmp_path, monkeypatch):
        path = tmp_path / "summary.md"
        path.write_text("x" * (MAX_SUMMARY_BYTES - 10))
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
        add_to_step_summary(["short", "too long for the room", "short"])
        assert path.read_text("utf-8")[MAX_SUMMARY_BYTES - 10 :] == "short\n\n… more in the log\n"
