"""`crossdiff show`: what a result holds, on the terminal."""

from __future__ import annotations

import argparse
import datetime
import re
import shutil

import pytest

from pytest_crossdiff.cli import differences
from pytest_crossdiff.cli.arguments import rows
from pytest_crossdiff.cli.results import find
from pytest_crossdiff.cli.terminal import Terminal
from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.write import write
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.store.cache import Store
from support import planted
from support.commands import crossdiff
from support.results import (
    make_context,
    make_difference,
    make_recognised,
    make_recognition,
    make_result,
)


@pytest.fixture
def key(measured):
    return next(i.key for i in Store(measured / "cache").list() if i.kind == "result")


class Lines(list):
    """A terminal that keeps what is written."""

    def __init__(self, *, colour=False, width=100):
        super().__init__()
        self.terminal = Terminal(self, colour=colour, width=width)

    def write(self, text):
        self.extend(text.splitlines())


class TestWhichResult:
    def test_left_out_it_is_that_of_the_settings(self, measured, key):
        done = crossdiff(measured, "show")
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[0] == "OVER BUDGET: models/v1 -> models/v2, block 0 of 3"
        assert f"\n  result          {key[:12]}  " in done.stdout

    @pytest.mark.parametrize("form", ["key", "folder", "file", "copy"])
    def test_or_a_key_a_folder_or_a_file(self, measured, key, form, tmp_path):
        folder = measured / "cache" / "result" / key[:2] / key
        shutil.copy(folder / "result.json", tmp_path)
        named = {
            "key": key[:6],
            "folder": str(folder),
            "file": str(folder / "result.json"),
            "copy": str(tmp_path / "result.json"),
        }[form]
        done = crossdiff(measured, "show", named)
        assert done.returncode == 0, done.stderr
        assert f"result          {key[:12]}" in done.stdout

    def test_labels_are_those_of_the_tests(self, measured, key, tmp_path):
        (tmp_path / "pytest.ini").write_text(
            f"[pytest]\ncrossdiff_cache_dir={measured / 'cache'}\n"
        )
        (tmp_path / "conftest.py").write_text(
            "def pytest_crossdiff_label_feature(difference): return f'named {difference.id}'\n"
        )
        assert "named B1: " in crossdiff(tmp_path, "show", key[:6]).stdout

    def test_flags_change_the_settings(self, measured):
        done = crossdiff(measured, "show", "--seed=7")
        assert done.returncode == 3
        assert done.stderr.splitlines() == [
            "crossdiff: these settings have not been measured",
            f"  from: cache {measured / 'cache'}",
            "  to do: run `crossdiff train`, or name a result of `crossdiff cache list`",
        ]

    def test_a_key_that_isn_t_there_and_one_too_short(self, measured):
        done = crossdiff(measured, "show", "0123456789")
        assert done.returncode == 3
        assert "no result '0123456789'; the cache is " in done.stderr
        assert crossdiff(measured, "show", "ab").returncode == 2

    def test_a_folder_without_one_is_no_result(self, measured, tmp_path):
        done = crossdiff(measured, "show", str(tmp_path))
        assert done.returncode == 3
        cache = measured / "cache"
        assert done.stderr.splitlines() == [
            f"crossdiff: no result '{tmp_path}'; the cache is {cache}",
            "  to do: give a report.json, the folder of a result, or the beginning of its key",
        ]

    def test_damage_is_no_result(self, measured, key, tmp_path):
        shutil.copytree(measured / "cache" / "result" / key[:2] / key, tmp_path / "it")
        text = (tmp_path / "it" / "result.json").read_text("utf-8")
        (tmp_path / "it" / "result.json").write_text(text.replace("0", "1", 1), "utf-8")
        done = crossdiff(measured, "show", str(tmp_path / "it"))
        assert done.returncode == 3
        assert "is not what was written" in done.stderr

    def test_damage_in_the_cache_is_said(self, measured, key, tmp_path):
        shutil.copytree(measured / "cache" / "result", tmp_path / "cache" / "result")
        file = tmp_path / "cache" / "result" / key[:2] / key / "result.json"
        file.write_text("{", "utf-8")
        done = crossdiff(measured, "show", f"--cache-dir={tmp_path / 'cache'}")
        assert done.returncode == 3
        first, second, *_ = done.stderr.splitlines()
        assert first.startswith(f"crossdiff: {file} is not what was written (1 bytes)")
        assert first.endswith("and made again")
        assert second == "crossdiff: these settings have not been measured"

    def test_a_key_that_several_have(self, tmp_path, monkeypatch):
        store = Store(tmp_path / "cache")
        for last in "01":
            entry = store.entry("result", f"abcdef{last}")
            with entry.lock():
                entry.write("result.json", make_result().to_json().encode())
                entry.complete({})
        monkeypatch.chdir(tmp_path)
        (tmp_path / "pytest.ini").write_text("[pytest]\ncrossdiff_cache_dir = cache\n")
        done = crossdiff(tmp_path, "show", "abcd")
        assert done.returncode == 3
        assert "several results 'abcd': abcdef0, abcdef1" in done.stderr


def test_a_planted_difference_is_listed_with_the_words_that_set_it_off(measured):
    lines = crossdiff(measured, "show").stdout.splitlines()
    assert "Only in the candidate: none" in lines
    at = lines.index("Only in the baseline, strongest first:")
    assert lines[at + 1].split() == [
        "id",
        "strength",
        "density",
        "exclusivity",
        "state",
        "fires",
        "on",
    ]
    found = [line.split("confirmed", 1)[1] for line in lines[at + 2 :] if line.startswith("B")]
    assert found
    assert all(any(f"'{word}'" in row for word in planted.MERGED) for row in found)


def test_one_difference_has_its_texts(measured):
    lines = crossdiff(measured, "show", "--id", "b1").stdout.splitlines()
    assert lines[0] == "B1  only in the baseline, confirmed"
    assert [line.split()[0] for line in lines[1:4]] == ["strength", "density", "exclusivity"]
    first = lines[lines.index("  where it fires, strongest first:") + 1]
    assert "⟦" in first
    assert all(len(line) <= 100 for line in lines)


def test_the_features_that_were_tested_have_a_verdict_each(measured):
    text = crossdiff(measured, "show", "--tested", "--limit=0").stdout
    head, *rows = text.splitlines()[1:]
    assert head.split() == [
        "feature",
        "only",
        "in",
        "strength",
        "density",
        "exclusivity",
        "documents",
        "verdict",
    ]
    assert any(row.endswith("verified") for row in rows)


class TestSelection:
    RESULT = make_result(
        make_difference("C1", tokens=("refund",)),
        make_difference("C2", certainty="possible", strength=0.5, contexts=()),
        make_difference("B1", "baseline", strength=0.2, contexts=(make_context("x"),)),
    )

    def ids(self, *arguments):
        return [d.id for d in differences.select_differences(self.RESULT, *arguments)]

    def test_confirmed_ones_of_the_candidate_come_first(self):
        assert self.ids([], None, None) == ["C1", "C2", "B1"]

    def test_by_side_id_and_text(self):
        assert self.ids([], "baseline", None) == ["B1"]
        assert self.ids(["b1", "C1"], None, None) == ["B1", "C1"]
        assert self.ids([], None, "ref.nd") == ["C1"]

    def test_an_unknown_id_and_a_broken_pattern_are_errors(self):
        with pytest.raises(SettingsError, match=r"no difference 'C3', only C1, C2, B1"):
            self.ids(["C3"], None, None)
        with pytest.raises(SettingsError, match="not a regular expression"):
            self.ids([], None, "(")

    def test_what_was_accepted_is_marked_and_says_by_whom_and_why(self, tmp_path):
        last = datetime.date(2026, 2, 1)
        accepted = make_recognition(
            make_recognised("C1", reason="trained on it"),
            make_recognised("B1", "expired", author="Ben", reason="for now", expires=last),
        )
        write(Report.of(self.RESULT, accepted=accepted), ["json"], tmp_path, "kept")
        found = find(str(tmp_path / "kept.json"), {})
        lines = Lines()
        differences.write_list(lines.terminal, found, list(self.RESULT.differences), 0)
        states = {
            words[0]: words[7] for line in lines if (words := line.split())[:1] and "[" in line
        }
        assert states == {"C1": "accepted", "C2": "possible", "B1": "expired"}
        lines.clear()
        differences.write_difference(lines.terminal, self.RESULT.differences[2], found.report)
        assert "  expired      by Ben, 2026-01-02, until 2026-02-01: for now" in lines

    @pytest.mark.parametrize("text", ["-1", "x", "", "1.5"])
    def test_what_is_no_number_of_rows_is_refused(self, text):
        with pytest.raises(argparse.ArgumentTypeError, match="is no number of rows"):
            rows(text)

    def test_what_is_beyond_the_limit_is_counted(self, tmp_path):
        many = make_result(*(make_difference(f"C{i}") for i in range(1, 6)))
        (tmp_path / "result.json").write_text(many.to_json(), "utf-8")
        found = find(str(tmp_path), {})
        lines = Lines()
        differences.write_list(lines.terminal, found, list(many.differences), 2)
        assert [x for x in lines if x.startswith("C")] == [
            x for x in lines if x[:2] in ("C1", "C2")
        ]
        assert "… and 3 more (--limit 0 shows all)" in lines


class TestHostileText:
    EVIL = "\x1b[2J\u202e\nA"
    RESULT = make_result(
        make_difference(
            "C1", tokens=(EVIL,), contexts=(make_context(EVIL, before=EVIL, after=EVIL),)
        )
    )

    def lines(self, **options):
        lines = Lines(**options)
        (difference,) = self.RESULT.differences
        differences.write_difference(lines.terminal, difference, Report.of(self.RESULT))
        return lines

    def test_it_is_spelt_out(self):
        lines = self.lines()
        assert any(r"⟦\x1b[2J\u202e⏎A⟧" in line for line in lines)
        assert all(line.isprintable() for line in lines)

    def test_on_a_terminal_only_our_own_colours_are_written(self):
        text = "".join(self.lines(colour=True))
        assert "\x1b[1;36m⟦" in text
        assert "\x1b[2J" not in text

    def test_a_result_that_was_written_by_hand_is_read_like_any_other(self):
        assert Result.from_json(self.RESULT.to_json()) == self.RESULT


TEXT = "The value is in the box. To be or not to be: that is it."


@pytest.fixture(scope="module")
def done(measured):
    return crossdiff(measured, "show", "--on", TEXT)


class TestOnAText:
    """The candidate can't tell the words of `planted.MERGED` apart; the baseline can."""

    def test_the_tokens_that_set_a_difference_off_are_marked(self, measured, done):
        assert done.returncode == 0, done.stderr
        heads = [line for line in done.stdout.splitlines() if line.startswith("B")]
        assert heads
        assert all(re.match(r"B\d+  only in the baseline: \d tokens? of \d+", h) for h in heads)
        marked = re.findall("⟦ (.*?)⟧", done.stdout)
        assert set(marked) & set(planted.MERGED)

    def test_the_text_itself_is_whole(self, done):
        lines = done.stdout.splitlines()
        shown = [x[2:] for x in lines if x.startswith("  ")]
        assert {re.sub("[⟦⟧]", "", x) for x in shown} == {TEXT}

    def test_progress_is_not_part_of_it(self, done):
        assert "crossdiff: read baseline" in done.stderr
        assert "crossdiff:" not in done.stdout

    def test_it_is_the_activation_that_the_result_has_for_its_contexts(
        self, measured, key, tmp_path
    ):
        """Read again with a little less text around it, the strongest place fires as strongly."""
        file = measured / "cache" / "result" / key[:2] / key / "result.json"
        best = Result.from_json(file.read_text("utf-8")).of("baseline")[0]
        context = best.contexts[0]
        text = tmp_path / "text.txt"
        text.write_text(context.before + context.token, "utf-8")
        done = crossdiff(measured, "show", key[:8], "--id", best.id, "--on", f"@{text}")
        most = float(re.search(r"at most ([\d.]+)", done.stdout)[1])
        assert most == pytest.approx(context.activation, rel=0.15)

    def test_a_model_that_is_another_now_is_refused(self, measured, key, tmp_path):
        other = planted.noisy(tmp_path / "other")
        done = crossdiff(measured, "show", key[:8], f"--candidate={other}", "--on", "is it in?")
        assert done.returncode == 3
        assert "is not the candidate that was measured: its files have changed" in done.stderr

    def test_a_dictionary_that_was_pruned_is_named(self, measured, tmp_path):
        shutil.copytree(measured / "cache", tmp_path / "cache")
        shutil.rmtree(tmp_path / "cache" / "crosscoder")
        done = crossdiff(measured, "show", "--on", "is", f"--cache-dir={tmp_path / 'cache'}")
        assert done.returncode == 3
        assert "the dictionary of this result is no longer in the cache" in done.stderr

    @pytest.mark.parametrize(
        ("text", "says"), [(" ", "no text"), ("@nowhere", "can't read nowhere")]
    )
    def test_no_text_is_2(self, measured, text, says):
        done = crossdiff(measured, "show", "--on", text)
        assert done.returncode == 2
        assert says in done.stderr


def test_long_lines_are_broken_at_spaces_and_no_token_is_lost():
    from pytest_crossdiff.cli.on_text import _wrapped
    from pytest_crossdiff.engine.explanation.reading import FiringSpan

    text = "one two three four five six\nseven " + "x" * 90
    fired = [FiringSpan(3, 7, 1.0), FiringSpan(text.index("seven"), text.index("seven") + 5, 1.0)]
    lines = list(_wrapped(Terminal(Lines(), colour=False, width=60), text, fired, "candidate"))
    assert lines[0] == "one⟦ two⟧ three four five six⏎"
    assert lines[1].startswith("⟦seven⟧ x")
    assert "".join(lines).replace("⟦", "").replace("⟧", "") == text.replace("\n", "⏎")
    assert all(len(line) <= 58 for line in lines)
