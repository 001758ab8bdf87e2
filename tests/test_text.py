"""Text made fit for a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_crossdiff.errors import CorpusError
from pytest_crossdiff.results.wording import marked
from pytest_crossdiff.text import (
    against,
    columns,
    cut,
    duration,
    harmless,
    rounded_down,
    rounded_up,
    visible,
)
from support.results import make_context


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("a\nb\tc\rd", "a⏎b⇥c\\rd"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x00\x07", "\\x00\\x07"),
        ("left\u202eright", "left\\u202eright"),
        ("Ünïcödé 日本語 👍", "Ünïcödé 日本語 👍"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_would_act_on_the_terminal_is_spelt_out(text, shown):
    assert visible(text) == shown


@given(st.text())
def test_nothing_invisible_or_active_is_left(text):
    kinds = {unicodedata.category(ch) for ch in visible(text) if ch not in "\u200c\u200d"}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"}
    assert len(visible(text).splitlines()) <= 1


@given(st.text(), st.integers(0, 40))
def test_a_cut_text_fits(text, width):
    assert columns(cut(visible(text), width)) <= width


@given(st.text(), st.text(min_size=1), st.text(), st.integers(10, 80))
def test_a_context_fits_and_keeps_its_token_in_view(before, token, after, width):
    shown = marked(make_context(token, before, after), width)
    assert columns(shown) <= width
    assert shown.count("⟦") >= 1
    assert "⟧" in shown


def test_a_context_is_cut_around_its_token():
    context = make_context(" kubectl", "so to see the pods run", " get pods and then wait")
    assert marked(context, 80) == "so to see the pods run⟦ kubectl⟧ get pods and then wait"
    assert marked(context, 30) == "… pods run⟦ kubectl⟧ get pods…"
    assert columns(marked(context, 30)) == 30


def test_room_that_one_side_leaves_is_the_other_side_s():
    assert marked(make_context("x", "a" * 30, "bb"), 20) == "…" + "a" * 14 + "⟦x⟧bb"


def test_wide_characters_count_twice_and_combining_ones_not_at_all():
    assert columns("日本") == 4
    assert columns("e\u0301") == 1


@pytest.mark.parametrize(
    ("value", "limit", "shown"),
    [
        (0.0312, 0.01, ("0.0312", "0.01")),
        (0.010001, 0.01, ("0.010001", "0.01")),
        (0.01, 0.01, ("0.01", "0.01")),
        (0.00008, 0.01, ("8e-05", "0.01")),
    ],
)
def test_a_strength_is_written_so_that_it_differs_from_its_limit(value, limit, shown):
    assert against(value, limit) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.96, "10.0 s"), (42.4, "42 s"), (312, "5 min 12 s"), (7500, "2 h 5 min")],
)
def test_durations_read_well(seconds, shown):
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("::notice::x", ": :notice::x"),
        ("  ::debug::x", "  : :debug::x"),
        ("a\n::notice::x\nb", "a\n: :notice::x\nb"),
        ("a ##[debug]x", "a # #[debug]x"),
        ("std::vector", "std::vector"),
        ("\x1b[31mred", "\\x1b[31mred"),
    ],
)
def test_no_line_is_a_command_to_a_ci_runner_or_a_terminal(text, shown):
    assert harmless(text) == shown
    assert harmless(shown) == shown


@pytest.mark.parametrize("part", ["what", "source", "remedy"])
def test_an_error_is_harmless_whoever_prints_it(part):
    parts = {"what": "no such model", part: "shard-1\n::notice::x\x1b[2J ##[debug]y"}
    text = str(CorpusError(parts.pop("what"), **parts))
    assert "\x1b" not in text
    assert "##[" not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())


@pytest.mark.parametrize(
    ("value", "limit"),
    [(0.0139, 0.014), (0.01, 0.01), (0.000101, 0.00011), (0.999, 1.0), (0.0, 1.0), (123.0, 130.0)],
)
def test_a_limit_for_a_value_is_rounded_up(value, limit):
    assert rounded_up(value) == pytest.approx(limit)


@given(st.floats(1e-9, 1e9))
def test_a_limit_as_it_is_written_is_never_below_the_value(value):
    assert value <= float(f"{rounded_up(value):g}") <= 1.1 * value * (1 + 1e-9)


@given(st.floats(0.0, 1.0))
def test_a_share_as_it_is_written_is_never_above_the_value(share):
    assert share - 0.01 - 1e-9 <= float(f"{rounded_down(share):g}") <= share
