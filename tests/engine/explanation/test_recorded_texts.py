"""Which tests ran on both models, and which differences are named for those at risk."""

import numpy as np

from pytest_crossdiff.engine.explanation.recorded_texts import (
    Firing,
    explain_outcomes,
    paired_tests,
)
from pytest_crossdiff.results.tests import RecordedRun, RecordedText
from pytest_crossdiff.sides import SIDES
from support.results import make_difference


def text(side, number):
    return RecordedText(side, (("user", f"Question {number}?"),), f"{side} says {number}")


def run(number, side, *, passed=True, texts=True, name="test_it[{side}-{number}]"):
    recorded = (text(side, number),) if texts else ()
    return RecordedRun(name.format(side=side, number=number), (side,), passed, recorded)


def runs(apart, agree, passes="baseline"):
    """Tests that only `passes` passes, and others that both pass."""
    found = [run(n, side, passed=side == passes) for n in range(apart) for side in SIDES]
    return found + [run(n, side) for n in range(apart, apart + agree) for side in SIDES]


def firing(difference, tests, fires, *, everywhere=5):
    """Fires at 5 of 50 tokens of the texts of the tests `fires`."""
    texts = [t for test in tests for t in test.texts]
    fired = [everywhere * (int(t.prompt[0][1].split()[1][:-1]) in fires) for t in texts]
    return Firing(make_difference(difference), "output", np.array(fired), np.full(len(texts), 50))


def found(tests, *firings):
    texts = [t for test in tests for t in test.texts]
    return explain_outcomes(tests, texts, firings, 0.05)


class TestPairing:
    def test_runs_of_one_test_on_both_models_belong_together(self):
        (test,) = paired_tests([run(1, "baseline"), run(1, "candidate", passed=False)])
        assert test.name == "test_it[*-1]"
        assert test.passed == {"baseline": True, "candidate": False}
        assert test.texts == (text("baseline", 1), text("candidate", 1))

    def test_names_of_functions_and_files_pair_too(self):
        name = "evals/{side}/test_it.py::test_{side}_capital"
        both = [run(1, side, name=name) for side in SIDES]
        assert [test.name for test in paired_tests(both)] == ["evals/*/test_it.py::test_*_capital"]

    def test_the_last_of_several_runs_counts(self):
        again = [run(1, "baseline"), run(1, "candidate", passed=False), run(1, "candidate")]
        assert not paired_tests(again)[0].apart

    def test_skipped_and_lone_runs_and_runs_of_both_models_at_once_pair_with_nothing(self):
        both_at_once = RecordedRun("test_both", SIDES, True, ())
        assert not paired_tests([run(1, "baseline"), run(1, "candidate", passed=None)])
        assert not paired_tests([run(1, "baseline"), run(2, "candidate"), both_at_once])


class TestAtRisk:
    def test_a_difference_that_fires_in_tests_at_risk_alone_is_named_with_its_share(self):
        tests = paired_tests(runs(apart=4, agree=8))
        at_risk = found(tests, firing("C1", tests, {0, 1, 2, 3}), firing("C2", tests, {4, 5, 0}))
        assert (at_risk.pairs, at_risk.read, at_risk.tested) == (12, 12, 2)
        assert [test.name for test in at_risk.tests] == [f"test_it[*-{n}]" for n in range(4)]
        assert [test.passes for test in at_risk.tests] == ["baseline"] * 4
        for test in at_risk.tests:
            assert [(d.difference, d.layer, d.share) for d in test.differences] == [
                ("C1", "output", 0.1)
            ]
            assert not test.unexplained

    def test_what_fires_everywhere_explains_nothing(self):
        tests = paired_tests(runs(apart=4, agree=8))
        at_risk = found(tests, firing("C1", tests, set(range(12))))
        assert not any(test.differences for test in at_risk.tests)
        assert at_risk.tests[0].unexplained == tests[0].texts

    def test_texts_on_which_no_named_difference_fires_are_left_unexplained(self):
        tests = paired_tests(runs(apart=4, agree=8))
        at_risk = found(tests, firing("C1", tests, {0, 1, 2}))
        assert [len(test.unexplained) for test in at_risk.tests] == [0, 0, 0, 2]
        assert [len(test.differences) for test in at_risk.tests] == [1, 1, 1, 0]

    def test_many_differences_without_relation_are_seldom_named(self):
        draw = np.random.default_rng(0)
        tests = paired_tests(runs(apart=5, agree=15))
        texts = [t for test in tests for t in test.texts]
        named = 0
        for trial in range(40):
            firings = [
                Firing(
                    make_difference(f"C{trial}{n}"),
                    "output",
                    draw.integers(0, 9, len(texts)),
                    np.full(len(texts), 50),
                )
                for n in range(10)
            ]
            named += any(test.differences for test in found(tests, *firings).tests)
        assert named <= 6  # 40 trials at 5 %: more has a probability below 0.5 %

    def test_one_test_at_risk_among_few_is_no_evidence(self):
        tests = paired_tests(runs(apart=1, agree=5))
        assert not found(tests, firing("C1", tests, {0})).tests[0].differences

    def test_without_differences_the_tests_are_listed(self):
        tests = paired_tests(runs(apart=1, agree=5, passes="candidate"))
        (test,) = found(tests).tests
        assert (test.passes, test.unexplained) == ("candidate", tests[0].texts)
