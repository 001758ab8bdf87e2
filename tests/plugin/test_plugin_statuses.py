"""Budget exceeded is FAILED; couldn't measure is ERROR, wherever it was raised."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from pytest_crossdiff.errors import ModelError
from support.fake_engine import install_for_subprocess
from support.results import make_difference, make_model, make_result

FIXTURE = "def test_it(crossdiff): crossdiff.assert_within_budget()"
FACTORY = "def test_it(crossdiff_factory): crossdiff_factory().assert_within_budget()"


@pytest.fixture
def differing(engine):
    engine.result = make_result(make_difference())
    return engine


@pytest.fixture
def broken(engine):
    engine.error = ModelError("no such model", source="pytest.ini", remedy="name another")
    return engine


@pytest.mark.parametrize("test", [FIXTURE, FACTORY])
def test_a_budget_exceeded_is_a_failure_told_in_our_words_alone(project, differing, test):
    project.makepyfile(test_it=test)
    result = project.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*___ test_it ___*",
            "CANDIDATE-ONLY: 1 difference, budget 0; joint strength 0.01",
            "*",
            "- the report page: crossdiff-report/old-to-new-block-6.html",
            "* crossdiff *",
        ]
    )
    result.stdout.fnmatch_lines(
        ["FAILED test_it.py::test_it - CANDIDATE-ONLY: 1 difference, budget 0; joint strength 0.01"]
    )
    result.stdout.no_fnmatch_line("*Error*")
    result.stdout.no_fnmatch_line("*Exceeded*")


@pytest.mark.parametrize("test", [FIXTURE, FACTORY])
def test_not_measured_is_an_error_told_in_our_words_alone(project, broken, test):
    project.makepyfile(test_it=test)
    result = project.runpytest()
    result.assert_outcomes(errors=1)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*___ ERROR at setup of test_it ___*",
            "no such model",
            "  from: pytest.ini",
            "  to do: name another",
            "*= short test summary info =*",
            "ERROR test_it.py::test_it - no such model",
        ],
        consecutive=True,
    )


@pytest.mark.parametrize("test", [FIXTURE, FACTORY])
def test_junit_says_the_same(project, broken, test):
    project.makepyfile(test)
    project.runpytest("--junitxml=junit.xml")
    suite = ET.parse(project.path / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("1", "1", "0")
    error = suite.find("testcase/error")
    assert error is not None
    assert "no such model" in error.get("message", "")


def test_junit_calls_a_budget_exceeded_a_failure(project, differing):
    project.makepyfile(FIXTURE)
    project.runpytest("--junitxml=junit.xml")
    suite = ET.parse(project.path / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("errors"), suite.get("failures")) == ("0", "1")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message", "").startswith("CANDIDATE-ONLY: 1 difference, budget 0")


@pytest.mark.parametrize("test", [FIXTURE, FACTORY])
def test_the_first_error_stops_a_run_that_stops_at_errors(project, broken, test):
    project.makepyfile(f"{test}\ndef test_next(): pass")
    project.runpytest("-x").assert_outcomes(errors=1)


def test_too_poor_a_measurement_is_an_error(project, engine):
    engine.result = make_result(candidate=make_model(fve=0.1))
    project.makepyfile(FIXTURE)
    result = project.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["no verdict: the dictionary explains 0.100 of the candidate's variance, *"]
    )


@pytest.mark.parametrize("call", ["assert_no_feature('(')", "assert_candidate_only(max_count=-1)"])
def test_a_bad_argument_of_an_assertion_is_an_error(project, engine, call):
    project.makepyfile(f"def test_it(crossdiff): crossdiff.{call}")
    project.runpytest().assert_outcomes(errors=1)


def test_an_error_that_a_test_has_explained_is_not_called_a_verdict(project, broken):
    project.makepyfile(test_it=f"{FIXTURE}\n{FIXTURE.replace('test_it', 'test_again')}")
    result = project.runpytest()
    result.assert_outcomes(errors=2)
    same = "The same error as in test_it.py::test_it, where it is explained."
    assert result.outlines.count(same) == 1


@pytest.mark.parametrize("test", [FIXTURE, FACTORY])
def test_an_unforeseen_exception_of_the_engine_is_an_error_with_its_traceback(
    project, engine, test
):
    engine.error = RuntimeError("out of memory")
    project.makepyfile(test)
    result = project.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*RuntimeError: out of memory", "*fake_engine.py:*"])


def test_an_exception_of_the_test_itself_stays_a_failure(project, engine):
    project.makepyfile("def test_it(crossdiff): raise RuntimeError('mine')")
    project.runpytest().assert_outcomes(failed=1)


def test_an_error_that_the_test_expects_is_none(project, broken):
    project.makepyfile(
        """
        import pytest
        from pytest_crossdiff.errors import ModelError

        def test_it(crossdiff_factory):
            with pytest.raises(ModelError):
                crossdiff_factory()
        """
    )
    project.runpytest().assert_outcomes(passed=1)


def test_a_budget_exceeded_can_be_an_expected_failure(project, differing):
    project.makepyfile(f"import pytest\n@pytest.mark.xfail(strict=True)\n{FIXTURE}")
    project.runpytest().assert_outcomes(xfailed=1)


@pytest.mark.parametrize("test", [FIXTURE, FACTORY])
def test_not_measured_is_an_error_also_where_a_failure_is_expected(project, broken, test):
    project.makepyfile(f"import pytest\n@pytest.mark.xfail\n{test}")
    project.runpytest().assert_outcomes(errors=1)


@pytest.mark.parametrize("test", [FIXTURE, FACTORY])
def test_an_error_can_be_expected_by_its_name(project, broken, test):
    project.makepyfile(
        "import pytest\nfrom pytest_crossdiff.errors import ModelError\n"
        f"@pytest.mark.xfail(raises=ModelError)\n{test}"
    )
    project.runpytest().assert_outcomes(xfailed=1)


def test_full_trace_shows_the_traceback(project, broken):
    project.makepyfile(FIXTURE)
    project.runpytest("--full-trace").stdout.fnmatch_lines(["E *ModelError: no such model"])


def test_an_interrupt_passes_through(project):
    install_for_subprocess(project.path, make_result())
    project.makeconftest("import fake_engine; fake_engine.engine.error = KeyboardInterrupt()")
    project.makepyfile(f"{FIXTURE}\ndef test_next(): pass")
    result = project.runpytest_subprocess("-p", "fake_engine")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*", "*no tests ran*"])
    result.stdout.no_fnmatch_line("*= crossdiff =*")
