"""One pair of real models measured at two layers in one run: what the reports say of both."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from test_report_schema import checker

from pytest_crossdiff.results.result import Result
from support.browser import started

if TYPE_CHECKING:
    from pathlib import Path

TESTS = """\
import pytest

@pytest.mark.crossdiff(layer=0)
def test_first(crossdiff):
    crossdiff.assert_within_budget()

@pytest.mark.crossdiff(layer=1, max_baseline_only=99)
def test_second(crossdiff):
    crossdiff.assert_within_budget()
"""
SIDES = "baseline", "candidate"


class Reports(NamedTuple):
    """The reports of both layers by their block, as data, and the file of each without its end."""

    data: dict[int, dict[str, Any]]
    files: dict[int, Path]


@pytest.fixture(scope="module")
def reports(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """Layer 0 comes from a cache that was filled in another folder, layer 1 is measured here."""
    folder = tmp_path_factory.mktemp("layers") / "project"
    shutil.copytree(measured, folder)
    (folder / "test_it.py").write_text(TESTS, "utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "test_it.py", "-p", "no:hypothesispytest"),
            *("--crossdiff-report=json,md,html", "-p", "no:cacheprovider"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    found = {}
    for path in (folder / "crossdiff-report").glob("*.json"):
        data = json.loads(path.read_text("utf-8"))
        checker().validate(data)
        found[data["result"]["baseline"]["layer"]] = data, path.with_suffix("")
    return Reports({at: d for at, (d, _) in found.items()}, {at: f for at, (_, f) in found.items()})


def stored(reports: Reports, layer: int) -> Result:
    """What the cache has of the pair at `layer`, read by another way than the report's."""
    key = reports.data[layer]["result"]["key"]
    cache = reports.files[layer].parents[1] / "cache"
    text = (cache / "result" / key[:2] / key / "result.json").read_text("utf-8")
    return Result.from_json(text)


def test_both_say_of_both_layers_what_was_measured_there(reports):
    assert sorted(reports.data) == [0, 1]
    assert reports.data[0]["layers"] == reports.data[1]["layers"]
    assert [reports.data[layer]["cached"] for layer in (0, 1)] == [True, False]
    for layer, told in zip((0, 1), reports.data[0]["layers"], strict=True):
        result = stored(reports, layer)
        assert told["key"] == result.key == reports.data[layer]["result"]["key"]
        assert told["statuses"] == [["exceeded"], ["within"]][layer]
        assert told["page"] == f"{reports.files[layer].name}.html"
        for name, side in zip(SIDES, told["sides"], strict=True):
            assert side == {
                "side": name,
                "layer": layer,
                "layers": result.model(name).layers,
                "count": len(result.of(name)),
                "possible": len(result.of(name, "possible")),
                "strength": result.total_strength(name),
                "fve": result.model(name).fve,
                "limit_of_detection": None,
                "detection_limits": [],
            }
    assert reports.data[0]["layers"][0]["sides"][0]["count"] == 1  # what was planted


def test_a_layer_by_itself_is_no_comparison(measured, tmp_path):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--crossdiff", "--crossdiff-report=json"),
            *("-p", "no:cacheprovider", f"--crossdiff-report-dir={tmp_path}", "."),
        ],
        cwd=measured,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    (path,) = tmp_path.glob("*.json")
    assert json.loads(path.read_text("utf-8"))["layers"] == []


@pytest.mark.parametrize("here", [0, 1])
def test_the_markdown_has_a_row_for_each(reports, here):
    text = reports.files[here].with_suffix(".md").read_text("utf-8")
    rows = text.partition("The same pair at each layer that was measured:")[2].split("\n")[4:7]
    assert rows.pop() == ""
    for layer, row in zip((0, 1), rows, strict=True):
        result = stored(reports, layer)
        this = " (this one)" if layer == here else ""
        cells = []
        for name in reversed(SIDES):
            possible = len(result.of(name, "possible"))
            more = f" and {possible} possible" if possible else ""
            cells += [f"{len(result.of(name))}{more}", f"{result.total_strength(name):.3g}"]
        assert row == f"| {layer} → {layer}{this} | {' | '.join(cells)} |"


def test_the_pages_compare_them_and_lead_from_one_to_the_other(reports):
    with started() as browser:
        page = browser.new_page()
        troubles: list[str] = []
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.goto(reports.files[0].with_suffix(".html").as_uri())
        for here, verdicts in ((0, "✗ Over budget"), (1, "✓ Within budget")):
            assert page.locator("h1").inner_text() == verdicts.replace(" ", "", 1)
            rows = page.locator("[aria-labelledby=s-layers-compared] tbody tr").all_inner_texts()
            shown = [" ".join(row.split()) for row in rows]
            assert len(shown) == 2
            assert shown[here].startswith(f"block {here} → {here} of 3 this report {verdicts} ")
            for layer, row in enumerate(shown):
                for name in SIDES:
                    result = stored(reports, layer)
                    assert f"strength {result.total_strength(name):.3g}" in row
            page.get_by_role("link", name=f"block {1 - here} → {1 - here}").click()
            page.wait_for_url(f"**/{reports.files[1 - here].name}.html")
        assert troubles == []
