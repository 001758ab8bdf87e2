"""Settings that are misspelt, malformed or contradict each other."""

from __future__ import annotations

import pytest

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.settings.resolution import require
from support.commands import PAIR

TEST = "def test_it(crossdiff): pass"
UNRELATED = "def test_unrelated(): pass"


def test_an_unknown_ini_key_stops_pytest_and_names_the_near_one(project, engine):
    project.makefile(".ini", pytest=f"[pytest]\n{PAIR}crossdiff_leyer = 3\n")
    project.makepyfile(UNRELATED)
    result = project.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: *pytest.ini: unknown setting crossdiff_leyer; did you mean crossdiff_layer?"]
    )


def test_an_unknown_key_without_a_near_one_is_named_alone(project, engine):
    project.makepyfile(UNRELATED)
    result = project.runpytest("-o", "crossdiff_zzz=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *: unknown setting crossdiff_zzz"])


def test_help_answers_with_a_broken_configuration(pytester):
    pytester.makefile(".ini", pytest="[pytest]\ncrossdiff_leyer = 3\ncrossdiff_layer = x\n")
    result = pytester.runpytest("--help")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["crossdiff:", "  --crossdiff *", "  --crossdiff-layer=*"])


def test_help_shows_each_setting_with_its_default(pytester):
    text = pytester.runpytest("--help").stdout.str()
    words = " ".join(text.split())
    assert "--crossdiff-layer=LAYERS where the models are compared: after a block" in words
    assert "(default: 0.5)" in words
    assert "the model in use: path or hub id@revision (default: none)" in words
    assert "crossdiff_trust_remote_code (string)" in words
    assert "--crossdiff-trust-remote-code" not in words


def test_the_marker_is_registered(pytester):
    result = pytester.runpytest("--markers", "--strict-markers")
    result.stdout.fnmatch_lines(["@pytest.mark.crossdiff(*settings): settings of the *"])


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (
            "leyer=3",
            [
                "unknown setting 'leyer'",
                "  from: marker of *::test_it",
                "  to do: did you mean 'layer'?",
            ],
        ),
        ("zzz=3", ["unknown setting 'zzz'", "  from: marker of *", "  to do: known: baseline, *"]),
        ("'org/new'", ["@pytest.mark.crossdiff takes settings by name, got 'org/new' without one"]),
        (
            "trust_remote_code=True",
            ["trust_remote_code can't be set here: only the ini file may set it"],
        ),
        (
            "max_candidate_only=-1",
            [
                "crossdiff_max_candidate_only = -1 is not valid: must be at least 0",
                "  from: marker of *::test_it",
            ],
        ),
    ],
)
def test_a_bad_marker_is_an_error_of_its_test_alone(project, engine, arguments, lines):
    project.makepyfile(f"import pytest\n@pytest.mark.crossdiff({arguments})\n{TEST}\n{UNRELATED}\n")
    result = project.runpytest()
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["*ERROR at setup of test_it*", *lines], consecutive=True)


def test_a_bad_marker_is_an_error_also_where_the_fixture_is_not_used(project, engine):
    project.makepyfile(f"import pytest\n@pytest.mark.crossdiff(leyer=3)\n{UNRELATED}")
    project.runpytest().assert_outcomes(errors=1)


def test_trust_in_remote_code_has_no_flag(project):
    project.makepyfile(UNRELATED)
    assert project.runpytest("--crossdiff-trust-remote-code=1").ret == pytest.ExitCode.USAGE_ERROR


def test_a_malformed_ini_value_is_an_error_where_crossdiff_is_used_and_only_there(project, engine):
    project.makefile(".ini", pytest=f"[pytest]\n{PAIR}crossdiff_max_baseline_only = few\n")
    project.makepyfile(f"{TEST}\n{UNRELATED}")
    result = project.runpytest("--crossdiff")
    result.assert_outcomes(errors=2, passed=1)
    result.stdout.fnmatch_lines(
        [
            "crossdiff_max_baseline_only = 'few' is not valid: expected a whole number",
            "  from: pytest.ini: crossdiff_max_baseline_only",
            "  to do: give a value (maximum number of differences that only the baseline has)",
        ],
        consecutive=True,
    )
    assert not engine.asked


@pytest.mark.parametrize(
    ("ini", "what", "source"),
    [
        (
            "crossdiff_features = 10\ncrossdiff_k = 11",
            "crossdiff_k = 11 active features a token, but crossdiff_features = 10 *",
            "pytest.ini: crossdiff_features",
        ),
        (
            "crossdiff_features = 30\ncrossdiff_exclusive_share = 0.01",
            "crossdiff_exclusive_share = 0.01 of crossdiff_features = 30 leaves no *",
            "pytest.ini: crossdiff_features",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_an_error(project, engine, ini, what, source):
    project.makefile(".ini", pytest=f"[pytest]\n{PAIR}{ini}\n")
    project.makepyfile(TEST)
    result = project.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([what, f"  from: {source}"], consecutive=True)


def test_a_pair_that_is_not_configured_is_named():
    with pytest.raises(SettingsError) as caught:
        require(Settings(), "baseline", "candidate")
    assert str(caught.value) == (
        "crossdiff_baseline and crossdiff_candidate are not set\n"
        "  to do: set them in pytest.ini, or by flag, "
        "e.g. --crossdiff-baseline=<path or hub id@revision>"
    )


class TestPluginDisabled:
    def test_pytest_warns_of_settings_that_nobody_reads(self, project):
        project.makepyfile(UNRELATED)
        result = project.runpytest_subprocess("-p", "no:crossdiff")
        assert result.ret == 0
        result.stdout.fnmatch_lines(["*Unknown config option: crossdiff_baseline*"])

    def test_strict_config_makes_it_an_error(self, project):
        project.makepyfile(UNRELATED)
        result = project.runpytest_subprocess("-p", "no:crossdiff", "--strict-config")
        assert result.ret == pytest.ExitCode.USAGE_ERROR

    def test_required_plugins_makes_it_an_error(self, project):
        project.makefile(".ini", pytest=f"[pytest]\nrequired_plugins = pytest-crossdiff\n{PAIR}")
        project.makepyfile(UNRELATED)
        result = project.runpytest_subprocess("-p", "no:crossdiff")
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines(["*Missing required plugins: pytest-crossdiff*"])

    def test_a_test_that_uses_the_fixture_is_an_error(self, project):
        project.makepyfile(TEST)
        result = project.runpytest_subprocess("-p", "no:crossdiff")
        result.assert_outcomes(errors=1)
        result.stdout.fnmatch_lines(["*fixture 'crossdiff' not found*"])
