"""What the JUnit file says of a pair, for GitLab, Jenkins and whatever else reads one."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from pytest_crossdiff.results.controls import Controls, PlantedSignal
from support import fake_engine
from support.results import make_difference, make_result

TEST = "def test_it(crossdiff): crossdiff.assert_within_budget()"
FOUND = make_result(
    make_difference("C1", strength=0.0123456),
    make_difference("C2", strength=0.001, certainty="possible"),
    candidate_strength=0.0123456,
    controls=Controls(
        tuple(PlantedSignal("candidate", s, 0.01, s, s) for s in (0.001, 0.002, 0.004, 0.008))
    ),
    key="k" * 64,
)


def properties(folder):
    cases = ET.parse(folder / "junit.xml").getroot().iter("testcase")
    return {
        case.get("name"): [(p.get("name"), p.get("value")) for p in case.iter("property")]
        for case in cases
    }


def test_a_test_case_has_the_verdict_and_what_it_rests_on(project, engine):
    engine.result = FOUND
    project.makepyfile(TEST)
    project.runpytest("--junitxml=junit.xml")
    assert properties(project.path) == {
        "test_it": [
            ("crossdiff.result", "k" * 64),
            ("crossdiff.verdict", "exceeded"),
            ("crossdiff.candidate", "org/new"),
            ("crossdiff.candidate_only", "1"),
            ("crossdiff.candidate_only_possible", "1"),
            ("crossdiff.candidate_only_strength", "0.0123"),
            ("crossdiff.candidate_limit_of_detection", "0.0014"),
            ("crossdiff.baseline", "org/old"),
            ("crossdiff.baseline_only", "0"),
            ("crossdiff.baseline_only_possible", "0"),
            ("crossdiff.baseline_only_strength", "0"),
            ("crossdiff.baseline_limit_of_detection", "unknown"),
            ("crossdiff.accepted", "0"),
        ]
    }


def test_the_verdict_is_the_worst_that_the_test_asked_for(project, engine):
    engine.result = FOUND
    project.makepyfile(
        """
        import pytest

        def test_it(crossdiff):
            crossdiff.assert_candidate_only(max_count=5)
            with pytest.raises(AssertionError):
                crossdiff.assert_candidate_only(max_count=0)

        def test_none(crossdiff): pass
        """
    )
    project.runpytest("--junitxml=junit.xml")
    found = {name: dict(values) for name, values in properties(project.path).items()}
    assert found["test_it"]["crossdiff.verdict"] == "exceeded"
    assert found["test_none"]["crossdiff.verdict"] == "none"


def test_a_test_of_several_pairs_has_all(project, engine):
    results = {1: make_result(key="one"), 2: make_result(key="two")}
    run = engine.run

    def answer(settings, texts=None, progress=None):
        engine.result = results[settings.layer]
        return run(settings, texts, progress)

    engine.run = answer
    project.makepyfile(
        """
        def test_it(crossdiff_factory, record_property):
            record_property("own", 1)
            for layer in (1, 2):
                crossdiff_factory(layer=layer).assert_within_budget()
            record_property("own", 2)
        """
    )
    project.runpytest("--junitxml=junit.xml", "-W", "ignore")
    found = properties(project.path)["test_it"]
    assert [v for k, v in found if k == "crossdiff.result"] == ["one", "two"]
    assert [v for k, v in found if k == "crossdiff.verdict"] == ["within", "within"]
    assert [v for k, v in found if k == "own"] == ["1", "2"]


def test_other_tests_have_none(project, engine):
    project.makepyfile(f"def test_other(): pass\n{TEST}")
    project.runpytest("--junitxml=junit.xml")
    assert properties(project.path)["test_other"] == []


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_workers_say_the_same(project, workers):
    fake_engine.install_for_subprocess(project.path, FOUND)
    project.makepyfile(TEST)
    project.runpytest_subprocess("-p", "fake_engine", "--junitxml=junit.xml", *workers)
    assert dict(properties(project.path)["test_it"])["crossdiff.verdict"] == "exceeded"


def test_an_error_is_no_failure_and_says_what_to_do(project, engine):
    """GitLab shows the text of `error` and `failure`, and nothing of the properties."""
    engine.result = make_result(make_difference(), baseline=None)
    project.makepyfile(TEST)
    project.runpytest("--junitxml=junit.xml")
    case = next(ET.parse(project.path / "junit.xml").getroot().iter("testcase"))
    failure = case.find("failure")
    assert failure is not None
    assert "What to do:" in (failure.text or "")
