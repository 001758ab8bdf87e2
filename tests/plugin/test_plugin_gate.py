"""`pytest --crossdiff` is a test that nobody has to write."""

from __future__ import annotations

import pytest

from support import fake_engine
from support.commands import PAIR
from support.results import make_difference, make_result

OVERRIDE = """
import pytest

@pytest.fixture(scope="session")
def crossdiff_corpus():
    return ["overridden"]
"""


def test_without_the_flag_there_is_none(project, engine):
    result = project.runpytest()
    assert result.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert not engine.asked


def test_it_runs_with_no_test_files_at_all(project, engine):
    result = project.runpytest("--crossdiff", "-v")
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*collected 1 item", "*", "pytest.ini::crossdiff PASSED*"])


def test_without_a_layer_models_that_predict_tokens_are_compared_in_a_block_and_the_output(
    pytester, engine
):
    for name in ("old", "new"):
        config = '{"architectures": ["LlamaForCausalLM"]}'
        pytester.mkdir(name).joinpath("config.json").write_text(config, "utf-8")
    pytester.makefile(
        ".ini", pytest="[pytest]\ncrossdiff_baseline = old\ncrossdiff_candidate = new\n"
    )
    pytester.makepyfile("def test_upgrade(crossdiff):\n    crossdiff.assert_within_budget()\n")
    result = pytester.runpytest("--crossdiff", "-v")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        [
            "*test_upgrade?0.5? PASSED*",
            "*test_upgrade?output? PASSED*",
            "pytest.ini::crossdiff?0.5? PASSED*",
            "pytest.ini::crossdiff?output? PASSED*",
        ]
    )
    pytester.runpytest("--crossdiff", "--crossdiff-layer=0.5").assert_outcomes(passed=2)


def test_it_fails_when_the_budget_is_exceeded(project, engine):
    engine.result = make_result(make_difference())
    result = project.runpytest("--crossdiff")
    result.assert_outcomes(failed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["FAILED pytest.ini::crossdiff - CANDIDATE-ONLY: *"])


def test_it_comes_once_and_after_the_tests(project, engine):
    project.makepyfile(test_it="def test_it(): pass")
    result = project.runpytest("--crossdiff", "--collect-only", "-q")
    assert result.outlines[:2] == ["test_it.py::test_it", "pytest.ini::crossdiff"]
    result.stdout.fnmatch_lines(["2 tests collected *"])
    assert not engine.asked


@pytest.mark.parametrize(
    "arguments", [["test_it.py"], ["test_it.py::test_it"], [".", "test_it.py"]]
)
def test_it_joins_whatever_tests_are_asked_for(project, engine, arguments):
    project.makepyfile(test_it="def test_it(): pass")
    project.runpytest("--crossdiff", *arguments).assert_outcomes(passed=2)


def test_its_node_id_selects_it_alone(project, engine):
    project.makepyfile(test_it="def test_it(): pass")
    project.runpytest("pytest.ini::crossdiff").assert_outcomes(passed=1)
    assert len(engine.asked) == 1


def test_its_node_id_is_a_path_from_where_pytest_is_called(project, engine, monkeypatch):
    monkeypatch.chdir(project.mkdir("tests"))
    project.runpytest("../pytest.ini::crossdiff").assert_outcomes(passed=1)


def test_its_node_id_may_stand_beside_others(project, engine):
    project.makepyfile(test_it="def test_it(): pass\ndef test_not(): pass")
    result = project.runpytest("pytest.ini::crossdiff", "test_it.py::test_it")
    result.assert_outcomes(passed=2)


def test_another_file_s_item_of_that_name_is_not_it(project, engine):
    project.makepyfile(test_it="def crossdiff(): pass")
    assert project.runpytest("test_it.py::crossdiff").ret == pytest.ExitCode.USAGE_ERROR


def test_it_can_be_deselected(project, engine):
    project.makepyfile("def test_it(): pass")
    project.runpytest("--crossdiff", "-k", "test_it").assert_outcomes(passed=1, deselected=1)
    project.runpytest("--crossdiff", "-k", "crossdiff").assert_outcomes(passed=1, deselected=1)
    project.runpytest("--crossdiff", "--deselect", "pytest.ini::crossdiff").assert_outcomes(
        passed=1, deselected=1
    )
    assert len(engine.asked) == 1


def test_it_is_run_again_with_last_failed(project, engine):
    engine.result = make_result(make_difference())
    project.makepyfile("def test_it(): pass")
    project.runpytest("--crossdiff")
    project.runpytest("--crossdiff", "--lf").assert_outcomes(failed=1)


@pytest.mark.parametrize(
    ("name", "section"), [("tox.ini", "[pytest]"), ("setup.cfg", "[tool:pytest]")]
)
def test_it_is_called_after_the_configuration_file(pytester, engine, name, section):
    (pytester.path / name).write_text(f"{section}\n{PAIR}")
    pytester.runpytest("--crossdiff", "-v").stdout.fnmatch_lines([f"{name}::crossdiff PASSED*"])


def test_it_needs_no_configuration_file(pytester, engine):
    result = pytester.runpytest(
        "--crossdiff", "--crossdiff-baseline=org/old", "--crossdiff-candidate=org/new", "-v"
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["crossdiff::crossdiff PASSED*"])


def test_a_pair_that_is_not_configured_is_an_error_that_names_the_keys(pytester, engine):
    result = pytester.runpytest("--crossdiff", "--crossdiff-baseline=org/old")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["crossdiff_candidate is not set", "  to do: set them in *"])


class TestOverrides:
    def test_the_root_conftest_s_fixtures_apply(self, project, engine):
        project.makeconftest(OVERRIDE)
        project.runpytest("--crossdiff").assert_outcomes(passed=1)
        assert engine.asked[0][1] == ["overridden"]

    def test_they_apply_when_it_is_selected_by_its_node_id(self, project, engine):
        project.makeconftest(OVERRIDE)
        project.runpytest("pytest.ini::crossdiff").assert_outcomes(passed=1)
        assert engine.asked[0][1] == ["overridden"]

    @pytest.mark.parametrize("arguments", [["tests"], ["tests/test_it.py"], ["tests/a", "tests/b"]])
    def test_those_that_all_tests_share_apply(self, project, engine, arguments):
        for folder in ("tests", "tests/a", "tests/b"):
            project.mkdir(folder).joinpath("test_it.py").write_text("def test_it(): pass")
        (project.path / "tests" / "conftest.py").write_text(OVERRIDE)
        result = project.runpytest("--crossdiff", "--import-mode=importlib", *arguments)
        assert result.ret == 0
        assert engine.asked[0][1] == ["overridden"]

    def test_testpaths_count_as_what_is_asked_for(self, project, engine):
        project.makefile(".ini", pytest=f"[pytest]\ntestpaths = tests\n{PAIR}")
        project.mkdir("tests").joinpath("conftest.py").write_text(OVERRIDE)
        project.runpytest("--crossdiff").assert_outcomes(passed=1)
        assert engine.asked[0][1] == ["overridden"]

    def test_those_of_some_tests_do_not(self, project, engine):
        project.mkdir("safety").joinpath("conftest.py").write_text(OVERRIDE)
        project.runpytest("--crossdiff").assert_outcomes(passed=1)
        assert engine.asked[0][1] is None


@pytest.mark.parametrize("runner", ["", "true"])
def test_a_verdict_that_a_test_has_explained_is_not_explained_again(
    project, engine, monkeypatch, runner
):
    monkeypatch.setenv("CI", runner)  # pytest's summary then holds whole messages
    engine.result = make_result(make_difference())
    project.makepyfile(test_it="def test_it(crossdiff): crossdiff.assert_within_budget()")
    result = project.runpytest("--crossdiff")
    result.assert_outcomes(failed=2)
    headline = "CANDIDATE-ONLY: 1 difference, budget 0; joint strength 0.01"
    same = "The same verdict on the same models as in test_it.py::test_it, where it is explained."
    result.stdout.fnmatch_lines(["*___ crossdiff ___*", headline, same, "=*"], consecutive=True)
    assert sum(line == "What to do:" for line in result.outlines) == 1


def test_workers_run_it_once(project):
    fake_engine.install_for_subprocess(project.path, make_result(make_difference()))
    project.makepyfile(
        "import pytest\n@pytest.mark.parametrize('n', range(6))\ndef test_it(n): pass"
    )
    result = project.runpytest_subprocess("-p", "fake_engine", "--crossdiff", "-n2")
    result.assert_outcomes(failed=1, passed=6)
    assert len((project.path / "asked.txt").read_text().splitlines()) == 1
