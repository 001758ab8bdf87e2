"""The report as JSON, as Markdown and as files, and finding one again."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pytest_crossdiff.errors import SettingsError, StoreError
from pytest_crossdiff.gate.budgets import Budgets
from pytest_crossdiff.gate.check import Check
from pytest_crossdiff.gate.verdict import compute_verdict
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.layers import LayerSide, MeasuredLayer
from pytest_crossdiff.report.stored import read, read_by_key
from pytest_crossdiff.report.write import FORMATS, file_name, render, write
from pytest_crossdiff.settings import Settings, fields
from pytest_crossdiff.store.cache import Store
from support.large_results import large
from support.results import (
    make_context,
    make_difference,
    make_model,
    make_recognised,
    make_recognition,
    make_result,
)

HOSTILE = "</script><img src=x onerror=alert(1)> | `a` *b* \u202e\x00 [x](y)\n\ud800"


def make_report(result=None, **given) -> Report:
    settings = Settings(sources={"max_candidate_only": "--crossdiff-max-candidate-only"})
    result = result or make_result(make_difference())
    check = Check.of(compute_verdict(result, Budgets.configured(settings)), "test_it.py::test_it")
    return Report.of(result, checks=[check], settings=settings, **given)


def stored(store: Store, key: str) -> None:
    entry = store.entry("result", key)
    with entry.lock():
        entry.write("result.json", make_result(key=key).to_json().encode())
        entry.complete({})


class TestDocument:
    def test_it_says_where_each_setting_came_from(self):
        rows = {row.name: row for row in make_report().settings}
        assert list(rows) == [field.name for field in fields()]
        assert rows["max_candidate_only"].source == "--crossdiff-max-candidate-only"
        assert rows["layer"].source == "default"
        assert rows["layer"].value == rows["layer"].default == "0.5"

    def test_without_settings_it_names_those_that_were_measured_with(self):
        rows = Report.of(large(8, 2)).settings
        assert {row.name: (row.value, row.source) for row in rows} == {
            "exclusivity": ("0.5", ""), "layer": ("0.5", ""), "k": ("24", ""),
        }  # fmt: skip

    def test_it_holds_the_verdict_with_budgets_and_their_origin(self):
        (check,) = make_report().checks
        assert (check.status, check.passed) == ("exceeded", False)
        candidate, baseline = check.sides
        assert (candidate.count, candidate.max_count, candidate.over_count) == (1, 0, True)
        assert candidate.count_from == "--crossdiff-max-candidate-only"
        assert (baseline.count, baseline.over_count, baseline.max_strength) == (0, False, None)

    def test_it_survives_being_written_and_read(self):
        report = make_report(large(20, 6), accepted=make_recognition(make_recognised("C1")))
        assert Report.from_json(render(report, "json").decode()) == report

    def test_half_a_surrogate_pair_survives_too(self):
        difference = make_difference(tokens=("\udc80",))
        report = Report.of(make_result(difference))
        assert Report.from_json(render(report, "json").decode()) == report

    @pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": "crossdiff-report"}', "null"])
    def test_what_is_no_report_is_refused(self, text):
        with pytest.raises(StoreError):
            Report.from_json(text)

    @pytest.mark.parametrize("side", ["\x1b[2J", 3, None, ["baseline"]])
    def test_a_side_that_is_none_is_refused(self, side):
        data = json.loads(make_report().to_json())
        data["result"]["differences"][0]["side"] = side
        with pytest.raises(StoreError, match="a report is malformed") as caught:
            Report.from_json(json.dumps(data))
        assert "\x1b" not in str(caught.value)

    def test_another_version_is_refused_with_a_remedy(self):
        data = json.loads(make_report().to_json()) | {"version": 99}
        with pytest.raises(StoreError, match=r"version 99.*\n.*make the report again"):
            Report.from_json(json.dumps(data))


class TestFiles:
    def test_one_for_each_form_named_after_the_models(self, tmp_path):
        paths = write(make_report(), FORMATS, tmp_path / "new" / "folder")
        assert [path.name for path in paths] == [
            "old-to-new-block-6.html", "old-to-new-block-6.json", "old-to-new-block-6.md",
        ]  # fmt: skip
        assert all(path.read_bytes() for path in paths)
        assert write(make_report(), FORMATS, tmp_path / "new" / "folder") == paths
        assert len(list((tmp_path / "new" / "folder").iterdir())) == 3

    @pytest.mark.parametrize(
        ("reference", "name"),
        [
            ("org/model@main", "model-main"),
            (f"org/model@{'0123456789' * 4}", "model-01234567"),
            ("/models/../v1.5/", "v1.5"),
            ("C:\\models\\v1", "v1"),
            ("…", "model"),
            ("x" * 300, "x" * 60),
        ],
    )
    def test_a_name_is_plain(self, reference, name):
        report = Report.of(make_result(baseline=make_model(reference)))
        assert file_name(report) == f"{name}-to-new-block-6"

    def test_reports_of_two_layers_have_two_names(self):
        at = {layer: make_model("org/old", layer=layer) for layer in (3, 6, 12)}
        names = [
            file_name(Report.of(make_result(baseline=a, candidate=b)))
            for a, b in ((at[3], at[3]), (at[6], at[6]), (at[3], at[6]), (at[12], at[12]))
        ]
        assert names == [
            "old-to-old-block-3", "old-to-old-block-6", "old-to-old-block-3-to-block-6",
            "old-to-old-output",
        ]  # fmt: skip

    def test_an_unknown_form_is_refused(self, tmp_path):
        with pytest.raises(SettingsError, match="'pdf' is no form of a report"):
            write(make_report(), ["pdf"], tmp_path)

    def test_a_folder_that_cant_be_made_is_an_error_with_a_remedy(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match="can't write"):
            write(make_report(), ["md"], tmp_path / "file" / "folder")


class TestFinding:
    def test_a_report_or_a_result_by_its_file(self, tmp_path):
        (path,) = write(make_report(), ["json"], tmp_path)
        assert read(path) == make_report()
        (tmp_path / "result.json").write_text(make_result().to_json(), "utf-8")
        assert read(tmp_path / "result.json") == Report.of(make_result())

    def test_a_report_whatever_the_order_of_its_keys_and_no_text_passes_for_one(self, tmp_path):
        data = json.loads(make_report().to_json())
        path = tmp_path / "report.json"
        path.write_text(json.dumps(dict(sorted(data.items())), indent=4), "utf-8")
        assert read(path) == make_report()
        result = make_result(make_difference(tokens=('"format": "crossdiff-report"',)))
        path.write_text(result.to_json(), "utf-8")
        assert read(path) == Report.of(result)

    def test_a_result_of_the_cache_by_the_beginning_of_its_key(self, tmp_path):
        store = Store(tmp_path)
        for key in ("abc111", "abc222"):
            stored(store, key)
        assert read_by_key("abc2", store).result.key == "abc222"
        with pytest.raises(StoreError, match="several results 'abc': abc111, abc222"):
            read_by_key("abc", store)
        for unknown in ("abd", "", "../abc", "*"):
            with pytest.raises(StoreError, match=r"no result .*; the cache is"):
                read_by_key(unknown, store)

    def test_what_is_malformed_is_named(self, tmp_path):
        (tmp_path / "result.json").write_text("{}")
        with pytest.raises(StoreError, match=r"result\.json: a stored result has schema None"):
            read(tmp_path / "result.json")


class TestMarkdown:
    def test_it_has_verdict_differences_and_trust(self):
        text = render(make_report(), "md").decode()
        assert (
            text.splitlines()[0]
            == r"### crossdiff: org/old (block 6 of 12) → org/new (block 6 of 12)"
        )
        assert r"**❌ Over budget** — test\_it.py\:\:test\_it" in text
        assert "only in the candidate: **1 difference** (budget 0), joint strength 0.01" in text
        assert (
            "| C1 | 0.01 | 1.2 % | ' token' | some text before the⟦ token⟧ and some after it |"
            in text
        )
        assert "limit of detection (80 % probability) in the candidate: not measured" in text

    def test_ten_rows_a_side_are_enough(self):
        text = render(Report.of(large(100, 60)), "md").decode()
        assert text.count("| C") == text.count("| B") == 10
        assert "… and 16 more" in text
        assert "false positives in the null control: 0" in text
        assert "limit of detection (80 % probability) in the candidate: 0.0033 on 0.2 % of" in text

    def test_layers_of_one_pair_stand_side_by_side(self):
        sides = (
            LayerSide("baseline", 2, 9, 1, 0, 0.02, 0.9, 0.001),
            LayerSide("candidate", 3, 9, 4, 2, 0.3, 0.8, None),
        )
        said = tuple(dataclasses.replace(side, layer=9) for side in sides)
        layers = (
            MeasuredLayer("key", sides, (), ""),
            MeasuredLayer("other", sides, (), "page.html"),
            MeasuredLayer("third", said, (), ""),
        )
        text = render(dataclasses.replace(make_report(), layers=layers), "md").decode()
        assert "| 2 → 3 (this one) | 4 and 2 possible | 0.3 | 1 | 0.02 |" in text
        assert "| 2 → 3 | 4 and 2 possible | 0.3 | 1 | 0.02 |" in text
        assert "| output → output | 4 and 2 possible | 0.3 | 1 | 0.02 |" in text

    def test_texts_stay_text(self):
        difference = make_difference(tokens=(HOSTILE,), contexts=(make_context(HOSTILE),))
        lines = render(Report.of(make_result(difference)), "md").decode().splitlines()
        (row,) = [line for line in lines if line.startswith("| C1")]
        assert "<" not in row.replace(r"\<", "")
        assert row.replace(r"\|", "").count("|") == 6
        assert "\u202e" not in row
        assert r"\`a\` \*b\*" in row
