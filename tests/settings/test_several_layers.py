"""Several layers in one setting: each is a comparison, and a test, of its own."""

from __future__ import annotations

import pytest

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.settings.parsing import parse
from support.commands import PAIR
from support.results import make_difference, make_result

TEST = "def test_upgrade(crossdiff): crossdiff.assert_within_budget()"


@pytest.mark.parametrize(
    ("raw", "parsed"),
    [
        ("output", "output"),
        ("0.5, output", (0.5, "output")),
        ("-1,3,-1", (-1, 3)),
        ([0.5, "output"], (0.5, "output")),
        ((0.5, "output"), (0.5, "output")),
    ],
)
def test_layers_are_parsed_and_survive_being_parsed_again(raw, parsed):
    assert parse("layer", raw, "") == parsed
    assert parse("layer", parsed, "") == parsed


@pytest.mark.parametrize("raw", ["0.5,", "outputs", "0.5;output", ",", ""])
def test_what_names_no_layer_is_refused(raw):
    with pytest.raises(SettingsError, match=r"expected a block's index, a fraction of the depth"):
        parse("layer", raw, "pytest.ini")


def test_one_layer_has_no_name():
    settings = Settings(layer="output")
    assert settings.by_layer() == {"": settings}


def test_each_layer_is_a_comparison_of_its_own():
    found = Settings(layer=(0.5, "output"), tokens=7).by_layer()
    assert found == {
        n: Settings(layer=x, tokens=7) for n, x in (("0.5", 0.5), ("output", "output"))
    }


def test_layers_of_either_model_go_together():
    settings = Settings(baseline_layer=(10, "output"), candidate_layer=(9, "output"))
    found = settings.by_layer()
    assert list(found) == ["10-9", "output"]
    assert [found["10-9"].layer_of(side) for side in ("baseline", "candidate")] == [10, 9]
    assert found["output"] == Settings(layer="output")


def test_as_many_are_asked_for_of_both_models():
    settings = Settings(layer=(0.5, "output"), candidate_layer=3, sources={"layer": "pytest.ini"})
    with pytest.raises(SettingsError, match=r"2 layers of the baseline .* 1 of the candidate"):
        settings.by_layer()


def test_where_one_is_needed_several_are_refused():
    with pytest.raises(SettingsError, match=r"several layers, 0.5 and output") as caught:
        Settings(layer=(0.5, "output"), sources={"layer": "pytest.ini"}).layer_of("baseline")
    assert (caught.value.source, "layer=output" in caught.value.remedy) == ("pytest.ini", True)


# In pytest


@pytest.fixture
def both(project):
    project.makefile(".ini", pytest=f"[pytest]\n{PAIR}crossdiff_layer = 0.5, output\n")
    return project


def asked(engine):
    return [settings.layer for settings, _ in engine.asked]


def test_a_test_runs_once_for_each(both, engine):
    both.makepyfile(test_it=TEST)
    result = both.runpytest("-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["test_it.py::test_upgrade?0.5? PASSED*", "test_it.py::test_upgrade?output? PASSED*"]
    )
    assert asked(engine) == [0.5, "output"]


def test_the_gate_that_nobody_wrote_is_one_for_each(both, engine):
    result = both.runpytest("--crossdiff", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(
        ["pytest.ini::crossdiff?0.5? PASSED*", "pytest.ini::crossdiff?output? PASSED*"]
    )
    assert asked(engine) == [0.5, "output"]


@pytest.mark.parametrize(
    ("names", "layers"),
    [
        (["crossdiff[output]"], ["output"]),
        (["crossdiff"], [0.5, "output"]),
        (["crossdiff[output]", "crossdiff[0.5]"], [0.5, "output"]),
    ],
)
def test_a_gate_is_selected_by_its_node_id(both, engine, names, layers):
    both.runpytest(*(f"pytest.ini::{name}" for name in names))
    assert asked(engine) == layers


def test_one_layer_may_fail_alone(both, engine):
    engine.result = make_result(make_difference())
    both.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.crossdiff(max_candidate_only=9)
        def test_it(crossdiff, crossdiff_layer):
            assert crossdiff_layer != "output"
            crossdiff.assert_within_budget()
        """
    )
    result = both.runpytest("-rA")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["FAILED test_it.py::test_it?output?*"])


def test_a_marker_may_name_several_or_one(project, engine):
    project.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.crossdiff(layer=[0, "output"])
        def test_several(crossdiff): pass

        @pytest.mark.crossdiff(layer=-1)
        def test_one(crossdiff): pass
        """
    )
    project.runpytest("-v").assert_outcomes(passed=3)
    assert asked(engine) == [0, "output", -1]


def test_parametrised_tests_are_crossed_with_the_layers(both, engine):
    both.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.parametrize("side", ["baseline", "candidate"])
        def test_it(crossdiff, side): pass
        """
    )
    both.runpytest().assert_outcomes(passed=4)
    assert asked(engine) == [0.5, "output"]  # each measured once


def test_the_factory_wants_one(both, engine):
    both.makepyfile(
        test_it="""
        def test_several(crossdiff_factory): crossdiff_factory(tokens=9)
        def test_one(crossdiff_factory): crossdiff_factory(layer="output")
        """
    )
    result = both.runpytest()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*crossdiff_layer names several layers, 0.5 and output*"])


def test_other_fixtures_take_the_first(both, engine):
    both.makepyfile(test_it="def test_it(crossdiff_crosscoder): pass")
    both.runpytest().assert_outcomes(passed=1)
    assert asked(engine) == [0.5]


def test_a_bad_layer_is_an_error_of_the_test(project, engine):
    project.makefile(".ini", pytest=f"[pytest]\n{PAIR}crossdiff_layer = 0.5, outptu\n")
    project.makepyfile(test_it=TEST)
    result = project.runpytest("--crossdiff")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*crossdiff_layer = '0.5, outptu' is not valid*"])


# Tests that pytest can't parametrise, or that choose one layer


def test_a_test_case_is_told_which_layers_there_are(both, engine):
    both.makepyfile(
        test_it="""
        import unittest, pytest

        class TestOld(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _given(self, crossdiff):
                self.crossdiff = crossdiff

            def test_upgrade(self):
                self.crossdiff.assert_within_budget()
        """
    )
    result = both.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        [
            "*crossdiff_layer names the layers 0.5 and output, and pytest can't run test_upgrade*",
            "*from: pytest.ini: crossdiff_layer*",
            "*to do: *@pytest.mark.crossdiff(layer='output')*",
        ]
    )
    result.stdout.no_fnmatch_line("*KeyError*")
    assert engine.asked == []


def test_a_test_case_whose_marker_names_one_is_of_that_one(both, engine):
    both.makepyfile(
        test_it="""
        import unittest, pytest

        @pytest.mark.crossdiff(layer="output")
        class TestOld(unittest.TestCase):
            @pytest.fixture(autouse=True)
            def _given(self, crossdiff):
                self.crossdiff = crossdiff

            def test_upgrade(self):
                self.crossdiff.assert_within_budget()
        """
    )
    both.runpytest().assert_outcomes(passed=1)
    assert asked(engine) == ["output"]


def test_a_fixture_asked_for_by_name_is_told_which_layers_there_are(both, engine):
    both.makepyfile(
        test_it="""
        import pytest

        def test_several(request):
            request.getfixturevalue("crossdiff")

        @pytest.mark.crossdiff(layer=3)
        def test_one(request):
            request.getfixturevalue("crossdiff")
        """
    )
    result = both.runpytest()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*names the layers 0.5 and output*can't run test_several once*"])
    assert asked(engine) == [3]


def test_a_mark_on_a_parameter_chooses_the_layer_and_that_test_runs_once(both, engine):
    both.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.parametrize(
            "name", ["a", pytest.param("b", marks=pytest.mark.crossdiff(layer=1))]
        )
        def test_it(crossdiff, crossdiff_layer, name):
            assert bool(crossdiff_layer) == (name == "a")
        """
    )
    result = both.runpytest("-v")
    result.assert_outcomes(passed=3, deselected=1)
    assert sorted(map(str, asked(engine))) == ["0.5", "1", "output"]


def test_a_mark_on_a_parameter_that_names_other_layers_is_refused_with_their_names(both, engine):
    both.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.parametrize(
            "name", [pytest.param("b", marks=pytest.mark.crossdiff(layer=[1, 2]))]
        )
        def test_it(crossdiff, name): pass
        """
    )
    result = both.runpytest()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*is about layer output, but its marker names 1 and 2"])


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="pytest.toml is of pytest 9")
@pytest.mark.parametrize(
    ("written", "layers"),
    [
        ("1", [1]),
        ("0.25", [0.25]),
        ('"output"', ["output"]),
        ('"0.5, output"', [0.5, "output"]),
        ('[1, 0.5, "output"]', [1, 0.5, "output"]),
    ],
)
def test_typed_toml_takes_numbers_and_mixed_lists(pytester, engine, written, layers):
    pair = 'crossdiff_baseline = "org/old"\ncrossdiff_candidate = "org/new"\n'
    pytester.makefile(".toml", pytest=f"[pytest]\n{pair}crossdiff_layer = {written}\n")
    pytester.makepyfile(test_it=TEST)
    pytester.runpytest().assert_outcomes(passed=len(layers))
    assert asked(engine) == layers
