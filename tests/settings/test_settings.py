"""The table of settings and the parsing of single values."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.settings import Settings, fields
from pytest_crossdiff.settings.kinds import MIN_STRENGTH_BLOCK, MIN_STRENGTH_OUTPUT
from pytest_crossdiff.settings.parsing import closest_match, parse


def test_every_row_has_help_and_a_default_that_parses_to_itself():
    for field in fields():
        assert field.help
        raw = "" if field.default is None else field.default
        assert parse(field.name, raw, "") == field.default, field.name


def test_settings_are_equal_whatever_their_sources():
    assert Settings(sources={"layer": "--crossdiff-layer"}) == Settings()
    assert hash(Settings(sources={"layer": "--crossdiff-layer"})) == hash(Settings())
    assert Settings(layer=0.5) == Settings()
    assert Settings(layer=3) != Settings()


def test_settings_are_never_changed_and_made_of_known_ones_only():
    settings = Settings(layer=3, sources={"layer": "pytest.ini"})
    with pytest.raises(AttributeError, match="layer"):
        settings.layer = 4
    with pytest.raises(TypeError, match="leyer"):
        Settings(leyer=3)
    other = settings.with_values(k=8)
    assert (settings.k, other.k, other.layer, other.sources) == (24, 8, 3, {"layer": "pytest.ini"})


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("layer", "3", 3),
        ("layer", "-1", -1),
        ("layer", "0.25", 0.25),
        ("layer", 1, 1),
        ("layer", 1.0, 1.0),
        ("baseline_layer", "", None),
        ("tokens", "50_000", 50_000),
        ("max_candidate_only", 2, 2),
        ("max_candidate_only_strength", "", None),
        ("max_candidate_only_strength", "none", None),
        ("max_candidate_only_strength", None, None),
        ("max_candidate_only_strength", 0.01, 0.01),
        ("trust_remote_code", "true", True),
        ("trust_remote_code", "No", False),
        ("trust_remote_code", True, True),
        ("baseline", " org/model ", "org/model"),
        ("train", "never", "never"),
    ],
)
def test_a_value_is_parsed_from_text_or_from_its_own_type(name, raw, value):
    parsed = parse(name, raw, "")
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("name", "raw", "reason"),
    [
        ("layer", "middle", "expected a block's index, a fraction of the depth, or output"),
        ("layer", "1.5", "a fraction of the depth lies between 0.0 and 1.0"),
        ("layer", "", "expected a block's index, a fraction of the depth, or output"),
        ("tokens", [1], "expected one value"),
        ("max_candidate_only", "-1", "must be at least 0"),
        ("max_candidate_only", "2.5", "expected a whole number"),
        ("max_candidate_only", True, "expected a whole number"),
        ("max_baseline_only", "few", "expected a whole number"),
        ("max_baseline_only_strength", "-0.1", "must lie between 0 and 1"),
        ("max_baseline_only_strength", "nan", "must lie between 0 and 1"),
        ("max_candidate_only_strength", "weak", "expected a number"),
        ("exclusive_share", "0.5", "must lie between 0 and 0.45"),
        ("min_fve", "inf", "must lie between 0 and 1"),
        ("trust_remote_code", "maybe", "expected true or false"),
        ("architecture", "sae", "expected one of innovation, dfc, standard"),
    ],
)
def test_a_bad_value_is_refused_with_its_reason_and_its_source(name, raw, reason):
    with pytest.raises(SettingsError) as caught:
        parse(name, raw, f"pytest.ini: crossdiff_{name}")
    assert caught.value.what == f"crossdiff_{name} = {raw!r} is not valid: {reason}"
    assert caught.value.source == f"pytest.ini: crossdiff_{name}"
    assert caught.value.remedy


@given(st.sampled_from([f.name for f in fields()]), st.text())
def test_any_text_is_parsed_or_refused_and_nothing_else(name, text):
    with contextlib.suppress(SettingsError):
        value = parse(name, text, "source")
        assert parse(name, value, "source") == value


@given(st.integers(min_value=0, max_value=10**9))
def test_a_count_survives_being_written_and_read(count):
    assert parse("max_candidate_only", str(count), "") == count
    assert parse("max_candidate_only", count, "") == count


@given(st.floats(min_value=0, max_value=1))
def test_a_strength_survives_being_written_and_read(strength):
    assert parse("max_candidate_only_strength", strength, "") == strength


def test_the_near_name_is_found_and_none_is_made_up():
    names = [f.name for f in fields()]
    assert closest_match("leyer", names) == "layer"
    assert closest_match("max_candidates_only", names) == "max_candidate_only"
    assert closest_match("zzz", names) == ""


@pytest.mark.parametrize(
    ("given", "least"),
    [
        ({}, MIN_STRENGTH_BLOCK),
        ({"layer": "output"}, MIN_STRENGTH_OUTPUT),
        ({"candidate_layer": "output"}, MIN_STRENGTH_OUTPUT),
        ({"layer": "output", "min_strength": 0.5}, 0.5),
    ],
)
def test_the_least_strength_that_counts_depends_on_the_layer(given, least):
    assert Settings(**given).least_strength == least


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("corpus_column", " system:a,user:b, ", "system:a, user:b"),
        ("report", "none", ""),
        ("report", "md,html,md", "md,html"),
    ],
)
def test_lists_are_written_with_commas(name, raw, value):
    assert parse(name, raw, "") == value


def test_layers_for_probes_are_numbers_and_fractions():
    assert Settings(probe_layers="1,0.5").extra_probe_layers() == (1, 0.5)


@pytest.mark.parametrize(
    ("name", "raw", "words"),
    [
        ("corpus_column", "system:,b", "a column's name is missing"),
        ("corpus_column", "text:a,b", "text: is for a column that is read alone"),
        ("corpus_column", "a,b,c", "name the role of each of several columns"),
        ("report", "pdf", "expected some of"),
        ("seeds", "x", "expected a whole number"),
        ("seeds", "0", "must be at least"),
    ],
)
def test_what_no_setting_can_be_is_refused(name, raw, words):
    with pytest.raises(SettingsError, match=words):
        parse(name, raw, "")
