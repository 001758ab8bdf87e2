"""What a run says on the terminal, in JUnit, to GitHub and as Markdown is what report.json says.

One real run on real models, with an accepted difference that has grown since and one that is gone;
each output is compared with the file, number by number, without the code that wrote either.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pytest_crossdiff.gate import accepted_file
from pytest_crossdiff.gate.fingerprint import Fingerprint
from pytest_crossdiff.report import message
from pytest_crossdiff.report.ci.junit import properties
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.screen.block import block
from pytest_crossdiff.report.screen.pointers import Pointers
from pytest_crossdiff.report.summary import PairSummary
from pytest_crossdiff.results.result import Result
from pytest_crossdiff.text import Display
from support.markdown import plain as as_text
from support.results import make_entry

TESTS = """\
import pytest

def test_budgets(crossdiff):
    crossdiff.assert_within_budget()

def test_pattern(crossdiff):
    crossdiff.assert_no_feature(".", side="both")

def test_allowed(crossdiff):
    crossdiff.assert_baseline_only(max_count=9, max_strength=0.9)
"""
VERBOSE = Display(100, 1)
TODAY = datetime.date(2026, 1, 2)


class Ran(NamedTuple):
    """What one run left behind: report.json as plain data, and what the others were told."""

    folder: Path
    data: dict[str, Any]
    lines: list[str]
    properties: dict[str, dict[str, str]]
    failures: dict[str, str]
    annotations: list[str]
    markdown: str

    @property
    def report(self) -> Report:
        return Report.from_json((self.folder / "reports/v1-to-v2-block-0.json").read_text("utf-8"))

    def checks(self, test: str) -> list[dict[str, Any]]:
        return [c for c in self.data["checks"] if c["test"].endswith(f"::{test}")]

    def section(self, name: str) -> str:
        """The rest of the line of the summary that has this name, with what goes on below."""
        at = next(i for i, line in enumerate(self.lines) if line.startswith(f"  {name:<15} "))
        end = next(i for i in range(at + 1, len(self.lines)) if self.lines[i][2:3] != " ")
        return " ".join(line[18:] for line in self.lines[at:end])


@pytest.fixture(scope="module")
def ran(measured, tmp_path_factory) -> Ran:
    folder = tmp_path_factory.mktemp("one") / "project"
    shutil.copytree(measured, folder)
    (path,) = folder.glob("cache/result/*/*/result.json")
    result = Result.from_json(path.read_text("utf-8"))
    (difference,) = result.of("baseline")
    slot = accepted_file.Slot("texts.jsonl", "0", "0")
    grown = make_entry(
        id="b-00000001", side="baseline", slot=slot, seen_as="B7", strength=difference.strength / 3,
        author="Ann", reason="was weak", date=TODAY,
        description="fires on ' is'; near the words that",
        fingerprint=Fingerprint.of(difference, result.corpus.heldout_pairs),
    )  # fmt: skip
    elsewhere = Fingerprint(result.corpus.heldout_pairs, 1.0, {("0" * 16, 3): 1.0})
    gone = dataclasses.replace(grown, id="b-00000002", seen_as="B9", fingerprint=elsewhere)
    accepted_file.write(folder / accepted_file.FILE, [grown, gone])
    (folder / "test_it.py").write_text(TESTS, "utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "test_it.py", "-v", "-p", "no:hypothesispytest"),
            *("--crossdiff-report=json,md", "--crossdiff-report-dir=reports"),
            *("--junitxml=junit.xml", "-p", "no:cacheprovider"),
        ],
        cwd=folder,
        env=clean_environment(folder),
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.strip("=") == " crossdiff ")
    end = next(i for i, line in enumerate(lines) if line.startswith("crossdiff report:"))
    cases = {c.get("name", ""): c for c in ET.parse(folder / "junit.xml").iter("testcase")}
    return Ran(
        folder,
        json.loads((folder / "reports/v1-to-v2-block-0.json").read_text("utf-8")),
        lines[start + 1 : end],
        {
            name: {p.get("name", ""): p.get("value", "") for p in case.iter("property")}
            for name, case in cases.items()
        },
        {name: f.text or "" for name, c in cases.items() if (f := c.find("failure")) is not None},
        [line for line in lines if line.startswith("::")],
        (folder / "reports/v1-to-v2-block-0.md").read_text("utf-8"),
    )


def clean_environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GITHUB_", "CI", "NO_COLOR"))}
    return kept | {
        "COLUMNS": "100",
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
    }


def side(data: dict[str, Any], name: str) -> dict[str, Any]:
    return next(s for s in data["sides"] if s["side"] == name)


def three(value: float) -> str:
    return f"{value:.3g}"


class TestNumberByNumber:
    def test_the_run_has_what_is_to_be_told(self, ran):
        """Else the rest would hold of nothing."""
        assert side(ran.data, "baseline")["count"] == 1
        assert side(ran.data, "candidate")["count"] == 0
        assert {a["state"] for a in ran.data["accepted"]} == {"grown", "missing"}
        statuses = {c["test"]: (c["status"], c["passed"]) for c in ran.data["checks"]}
        assert statuses == {
            "test_it.py::test_budgets": ("exceeded", False),
            "test_it.py::test_pattern": ("exceeded", False),
            "test_it.py::test_allowed": ("within", True),
        }

    def test_the_terminal(self, ran):
        data, result = ran.data, ran.data["result"]
        before, after = (
            str(Path(result[name]["reference"]).relative_to(ran.folder))
            for name in ("baseline", "candidate")
        )
        (layer,) = {
            f"block {of['layer']} of {of['layers']}"
            for of in (side(data, name) for name in ("baseline", "candidate"))
        }
        assert ran.lines[0] == f"OVER BUDGET: {before} -> {after}, {layer}"
        (check,) = ran.checks("test_budgets")
        for of in check["sides"]:
            count = f"{of['count']} difference" + "s" * (of["count"] != 1)
            assert ran.section(f"{of['side']}-only") == (
                f"{count}, budget {of['max_count']}; joint strength {three(of['strength'])}"
            )
        (forbidden,) = ran.checks("test_pattern")
        assert ran.section("forbidden") == forbidden["reason"]
        fve = [three(side(data, name)["fve"]) for name in ("baseline", "candidate")]
        assert fve == [three(result[name]["fve"]) for name in ("baseline", "candidate")]
        assert ran.section("explained") == (
            f"{fve[0]} of the baseline's variance, {fve[1]} of the candidate's"
        )
        shares = [
            three(100 * m["aligned_tokens"] / (m["tokens"] - m["special"]))
            for m in (result["baseline"], result["candidate"])
        ]
        assert ran.section("aligned") == (
            f"{shares[0]} % of the baseline's tokens, {shares[1]} % of the candidate's"
        )
        corpus = result["corpus"]
        assert ran.section("texts") == (
            f"{Path(corpus['source']).relative_to(ran.folder)}: "
            f"{corpus['train_pairs']} training token pairs, "
            f"{corpus['heldout_pairs']} held out"
        )
        took = sum(result["seconds"].values())
        shown = f"{took:.1f} s" if took < 10 else f"{round(took)} s"
        assert data["cached"] is True
        assert ran.section("time") == f"from cache (measured in {shown})"
        (found,) = result["differences"]
        fires = " ".join(f"'{t['token']}'" for t in found["tokens"][:5])
        assert ran.section("baseline").startswith(f"{found['id']}  fires on {fires}")

    def test_what_became_of_acceptances(self, ran):
        told = {a["state"]: a for a in ran.data["accepted"]}
        grown, missing = told["grown"], told["missing"]
        by = f"({grown['by']}, {grown['date']}: {grown['reason']}): {grown['description']}"
        text = (
            f"grown since it was accepted: {grown['difference']}, accepted at strength "
            f"{three(grown['strength'])} and now {three(grown['growth'])} times that, "
            f"{grown['entry']} {by}"
        )
        gone = f"accepted, but not found: {missing['difference']}, {missing['entry']} {by}"
        terminal = " ".join(line.strip() for line in ran.lines)
        assert f"crossdiff: {text}" in terminal
        assert f"crossdiff: {gone}" in terminal
        warned = [line.partition("::")[2].partition("::") for line in ran.annotations]
        titles = [at for at, _, _ in warned if at.startswith("warning ")]
        assert all("file=crossdiff-accepted.json,line=1," in at for at in titles)
        bodies = [body for at, _, body in warned if at.startswith("warning ")]
        assert bodies[:2] == [text, gone]
        growth = ran.report.result.differences[0].strength / grown["strength"]
        assert grown["growth"] == pytest.approx(growth, rel=1e-3)

    @pytest.mark.parametrize("test", ["test_budgets", "test_pattern", "test_allowed"])
    def test_junit(self, ran, test):
        (check,) = ran.checks(test)
        models = {
            f"crossdiff.{name}{key}": value
            for name in ("baseline", "candidate")
            for key, value in (
                ("", ran.data["result"][name]["reference"]),
                ("_only", str(side(ran.data, name)["count"])),
                ("_only_possible", str(side(ran.data, name)["possible"])),
                ("_only_strength", three(side(ran.data, name)["strength"])),
                ("_limit_of_detection", "unknown"),
            )
        }
        found = ran.data["result"]["output"]
        metrics = {
            name: found[name]
            for name in ("kl", "same_top", "probability_change_rms", "perplexity_ratio")
        }
        metrics |= {name: found[name] for name in ("baseline_loss", "candidate_loss")}
        metrics["kl_p99"] = found["kl_percentiles"]["99"]
        output = {
            f"crossdiff.{name}{end}": f"{estimate[key]:.6g}"
            for name, estimate in metrics.items()
            for end, key in (("", "value"), ("_low", "low"), ("_high", "high"))
        }
        assert ran.properties[test] == models | output | {
            "crossdiff.result": ran.data["result"]["key"],
            "crossdiff.verdict": check["status"],
            "crossdiff.accepted": str(sum(a["state"] == "accepted" for a in ran.data["accepted"])),
        }

    def test_the_failure_is_that_of_junit_and_of_the_annotation(self, ran):
        (found,) = ran.data["result"]["differences"]
        (check,) = ran.checks("test_budgets")
        (over,) = [s for s in check["sides"] if s["over_count"] or s["over_strength"]]
        text = ran.failures["test_budgets"]
        title, *lines = text.splitlines()
        assert title == (
            f"{over['side'].upper()}-ONLY: {over['count']} difference, budget "
            f"{over['max_count']}; joint strength {three(over['strength'])}"
        )
        row = next(line.split() for line in lines if line.startswith(f"{found['id']} "))
        interval = [f"{found[name]:.2f}" for name in ("exclusivity_low", "exclusivity_high")]
        assert row[1:7] == [
            three(found["strength"]), three(100 * found["density"]), "%",
            f"{found['exclusivity']:.2f}", f"[{interval[0]},", f"{interval[1]}]",
        ]  # fmt: skip
        assert f"(now {over['max_count']}, {over['count_from']})" in text
        (annotated,) = [a for a in ran.annotations if "title=crossdiff%3A BASELINE-ONLY" in a]
        body = annotated.partition("::")[2].partition("::")[2].replace("%0A", "\n")
        assert body.replace("%25", "%") == "\n".join(lines).strip("\n")

    def test_markdown_in_the_summary_of_the_step_as_in_the_file(self, ran):
        assert (ran.folder / "summary.md").read_text("utf-8").strip() == ran.markdown.strip()
        plain = as_text(ran.markdown)
        for check in ran.data["checks"]:
            assert check["test"] in plain
            for of in check["sides"]:
                assert re.search(
                    rf"only in the {of['side']}: \**{of['count']} difference", plain
                ), of
                assert three(of["strength"]) in plain
        (found,) = ran.data["result"]["differences"]
        assert f"| {found['id']} (grown) | {three(found['strength'])} |" in plain


class TestDrawnFromTheFile:
    """With nothing but the file at hand, the same words come out."""

    def test_the_terminal(self, ran):
        drawn = list(block(PairSummary.of(ran.report), ran.folder, VERBOSE))
        assert ran.lines[: len(drawn)] == drawn

    def test_junit(self, ran):
        report = ran.report
        for test, told in ran.properties.items():
            own = tuple(c for c in report.checks if c.test.endswith(f"::{test}"))
            pair = PairSummary.of(dataclasses.replace(report, checks=own))
            assert dict(properties(pair)) == told

    def test_the_message(self, ran):
        report = ran.report
        check = next(c for c in report.checks if c.test.endswith("::test_budgets"))
        entry = ran.folder / "cache/result" / report.result.key[:2] / report.result.key
        page = str(ran.folder / "reports/v1-to-v2-block-0.html")
        pointers = Pointers(entry, page, "pytest test_it.py::test_budgets")
        assert message.exceeded(report, check, pointers, VERBOSE) == ran.failures["test_budgets"]
