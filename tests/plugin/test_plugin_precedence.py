"""Marker, flag, environment, ini, default: who wins, and what is said of it."""

from __future__ import annotations

import sys

import pytest

from support.commands import PAIR

QUOTED = "crossdiff_baseline = 'org/old'\ncrossdiff_candidate = 'org/new'\n"
TEST = "def test_it(crossdiff): pass"


def settings_of(engine):
    return engine.asked[-1][0]


def test_the_default_holds_where_nothing_is_set(project, engine):
    project.makepyfile(TEST)
    project.runpytest().assert_outcomes(passed=1)
    assert settings_of(engine).layer == 0.5
    assert settings_of(engine).sources["layer"] == "default"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pytest.ini", f"[pytest]\n{PAIR}crossdiff_layer = 3"),
        ("tox.ini", f"[pytest]\n{PAIR}crossdiff_layer = 3"),
        ("setup.cfg", f"[tool:pytest]\n{PAIR}crossdiff_layer = 3"),
        ("pyproject.toml", f"[tool.pytest.ini_options]\n{QUOTED}crossdiff_layer = 3"),
    ],
)
def test_a_setting_is_read_from_every_kind_of_file(pytester, engine, name, text):
    (pytester.path / name).write_text(text)
    pytester.makepyfile(TEST)
    pytester.runpytest().assert_outcomes(passed=1)
    assert settings_of(engine).layer == 3
    assert settings_of(engine).baseline == "org/old"
    assert settings_of(engine).sources["layer"] == f"{name}: crossdiff_layer"


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="the native table is new in pytest 9")
def test_native_toml_values_keep_their_types(pytester, engine):
    pytester.makepyprojecttoml(
        """
        [tool.pytest]
        crossdiff_baseline = "org/old@1"
        crossdiff_candidate = "org/new@1"
        crossdiff_layer = 3
        crossdiff_max_candidate_only_strength = 0.01
        crossdiff_trust_remote_code = true
        """
    )
    pytester.makepyfile(TEST)
    pytester.runpytest().assert_outcomes(passed=1)
    settings = settings_of(engine)
    assert (settings.layer, settings.max_candidate_only_strength) == (3, 0.01)
    assert settings.trust_remote_code is True
    assert settings.sources["layer"] == "pyproject.toml: crossdiff_layer"


@pytest.mark.skipif(pytest.version_tuple < (9,), reason="the native table is new in pytest 9")
def test_a_toml_list_is_not_a_value(pytester, engine):
    pytester.makepyprojecttoml(
        "[tool.pytest]\ncrossdiff_baseline = ['a', 'b']\ncrossdiff_candidate = 'c'"
    )
    pytester.makepyfile(TEST)
    result = pytester.runpytest()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(
        ["crossdiff_baseline = [[]'a', 'b'[]] is not valid: expected one value"]
    )


def test_environment_wins_over_ini(project, engine, monkeypatch):
    monkeypatch.setenv("CROSSDIFF_CANDIDATE", "org/newer")
    project.makepyfile(TEST)
    project.runpytest().assert_outcomes(passed=1)
    assert settings_of(engine).candidate == "org/newer"
    source = settings_of(engine).sources["candidate"]
    assert source == "environment variable CROSSDIFF_CANDIDATE"


def test_an_empty_environment_variable_sets_nothing(project, engine, monkeypatch):
    monkeypatch.setenv("CROSSDIFF_CANDIDATE", "")
    project.makepyfile(TEST)
    project.runpytest().assert_outcomes(passed=1)
    assert settings_of(engine).candidate == "org/new"


def test_flag_wins_over_environment(project, engine, monkeypatch):
    monkeypatch.setenv("CROSSDIFF_CANDIDATE", "org/newer")
    project.makepyfile(TEST)
    project.runpytest("--crossdiff-candidate=org/newest").assert_outcomes(passed=1)
    assert settings_of(engine).candidate == "org/newest"
    assert settings_of(engine).sources["candidate"] == "--crossdiff-candidate"


def test_override_of_an_ini_value_counts_as_ini(project, engine, monkeypatch):
    monkeypatch.setenv("CROSSDIFF_CANDIDATE", "org/newer")
    project.makepyfile(TEST)
    project.runpytest(
        "-o", "crossdiff_layer=2", "-o", "crossdiff_candidate=org/other"
    ).assert_outcomes(passed=1)
    assert settings_of(engine).layer == 2
    assert settings_of(engine).sources["layer"] == "-o crossdiff_layer"
    assert settings_of(engine).candidate == "org/newer"


def test_marker_wins_over_flag(project, engine):
    project.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.crossdiff(layer=4, max_candidate_only=1)
        def test_it(crossdiff): pass
        """
    )
    project.runpytest("--crossdiff-layer=2", "--strict-markers").assert_outcomes(passed=1)
    assert settings_of(engine).layer == 4
    assert settings_of(engine).max_candidate_only == 1
    assert settings_of(engine).sources["layer"] == "marker of test_it.py::test_it"


def test_the_marker_nearest_to_the_test_wins_setting_by_setting(project, engine):
    project.makepyfile(
        """
        import pytest

        pytestmark = pytest.mark.crossdiff(layer=1, k=5)

        @pytest.mark.crossdiff(layer=2)
        class TestIt:
            @pytest.mark.crossdiff(seed=7)
            def test_it(self, crossdiff): pass
        """
    )
    project.runpytest().assert_outcomes(passed=1)
    settings = settings_of(engine)
    assert (settings.layer, settings.k, settings.seed) == (2, 5, 7)


def test_a_negative_layer_can_be_given_by_flag(project, engine):
    project.makepyfile(TEST)
    project.runpytest("--crossdiff-layer", "-1").assert_outcomes(passed=1)
    assert settings_of(engine).layer == -1


class TestRelativePaths:
    def test_in_an_ini_file_they_start_at_its_folder(self, pytester, engine, monkeypatch):
        pytester.makefile(
            ".ini",
            pytest="""
            [pytest]
            crossdiff_baseline = ./old
            crossdiff_candidate = quantised.gguf
            crossdiff_corpus = evals/prompts.jsonl
            crossdiff_cache_dir = ../cache
            crossdiff_layer = 0.5
            """,
        )
        pytester.mkdir("tests").joinpath("test_it.py").write_text(TEST)
        monkeypatch.chdir("tests")
        pytester.runpytest().assert_outcomes(passed=1)
        settings, root = settings_of(engine), pytester.path
        assert settings.baseline == str(root / "old")
        assert settings.candidate == str(root / "quantised.gguf")
        assert settings.corpus == str(root / "evals" / "prompts.jsonl")
        assert settings.cache_dir == str(root.parent / "cache")

    def test_on_the_command_line_they_start_where_pytest_was_called(
        self, project, engine, monkeypatch
    ):
        folder = project.mkdir("tests")
        folder.joinpath("test_it.py").write_text(TEST)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("CROSSDIFF_BASELINE", "./old")
        project.runpytest("--crossdiff-corpus=prompts.txt").assert_outcomes(passed=1)
        assert settings_of(engine).baseline == str(folder / "old")
        assert settings_of(engine).corpus == str(folder / "prompts.txt")

    def test_in_a_marker_they_start_at_the_root_folder(self, project, engine, monkeypatch):
        folder = project.mkdir("tests")
        folder.joinpath("test_it.py").write_text(
            "import pytest\n@pytest.mark.crossdiff(corpus='evals/safety.jsonl')\n" + TEST
        )
        monkeypatch.chdir(folder)
        project.runpytest().assert_outcomes(passed=1)
        assert settings_of(engine).corpus == str(project.path / "evals" / "safety.jsonl")

    def test_a_folder_that_exists_is_a_path_and_anything_else_a_hub_id(self, project, engine):
        project.mkdir("checkpoints")
        project.makepyfile(TEST)
        project.runpytest(
            "--crossdiff-baseline=checkpoints", "--crossdiff-candidate=org/new@v2"
        ).assert_outcomes(passed=1)
        assert settings_of(engine).baseline == str(project.path / "checkpoints")
        assert settings_of(engine).candidate == "org/new@v2"

    def test_a_tilde_is_the_home_folder(self, project, engine, monkeypatch):
        monkeypatch.setenv("HOME" if sys.platform != "win32" else "USERPROFILE", "/home/someone")
        project.makepyfile(TEST)
        project.runpytest("--crossdiff-baseline=~/old").assert_outcomes(passed=1)
        assert settings_of(engine).baseline == "/home/someone/old"

    def test_the_built_in_corpus_is_no_path(self, project, engine):
        project.makepyfile(TEST)
        project.runpytest("--crossdiff-corpus=builtin:pydoc").assert_outcomes(passed=1)
        assert settings_of(engine).corpus == "builtin:pydoc"
