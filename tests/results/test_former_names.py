"""Results and reports of an earlier version: read, and their fields found under former names."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from pytest_crossdiff.report.document import VERSION, Report
from pytest_crossdiff.results.result import SCHEMA, Result
from support.results import make_result

REPORT = Path(__file__).with_name("report-version-3.json")
"""Written by the version before the fields were renamed."""


def test_a_report_of_version_3_is_read_under_the_new_names():
    stored = json.loads(REPORT.read_text("utf-8"))
    assert (stored["version"], stored["result"]["schema"]) == (3, 5)
    report = Report.from_json(REPORT.read_text("utf-8"))
    assert (report.version, report.result.schema) == (VERSION, SCHEMA)
    assert report.result.corpus.out_of_distribution == stored["result"]["corpus"]["beyond"] == 3
    planted = report.result.controls.planted_signals
    assert [dataclasses.asdict(signal) for signal in planted] == stored["result"]["controls"][
        "spikes"
    ]
    least = stored["result"]["baseline"]["least_exclusivity"]
    assert report.result.baseline.required_exclusivity == least


def test_a_cached_result_of_schema_5_is_read():
    stored = json.dumps(json.loads(REPORT.read_text("utf-8"))["result"])
    assert Result.from_json(stored) == Report.from_json(REPORT.read_text("utf-8")).result


def test_what_is_read_is_written_under_the_new_names_and_read_again():
    report = Report.from_json(REPORT.read_text("utf-8"))
    text = report.to_json()
    assert '"beyond"' not in text
    assert Report.from_json(text) == report


@pytest.mark.parametrize(
    ("of", "former", "name"),
    [
        ("corpus", "beyond", "out_of_distribution"),
        ("controls", "spikes", "planted_signals"),
        ("candidate", "least_exclusivity", "required_exclusivity"),
    ],
)
def test_a_former_name_works_with_a_warning_that_names_the_new_one(of, former, name):
    part = getattr(make_result(), of)
    with pytest.warns(DeprecationWarning, match=f"{former} is now called {name}"):
        assert getattr(part, former) == getattr(part, name)
