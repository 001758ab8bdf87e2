"""The workflows of docs/how-to/ci.md are valid, and what they run is what there is."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pytest_crossdiff.report.ci import junit
from pytest_crossdiff.report.document import Report
from pytest_crossdiff.report.summary import PairSummary
from support.fake_engine import install_for_subprocess
from support.replies import refusing
from support.results import make_output, make_result

ROOT = Path(__file__).parents[2]
CI = ROOT / "docs" / "how-to" / "ci.md"
FENCE = re.compile(r"^```(ini|yaml)\n# (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILES = {name: text for _, name, text in FENCE.findall(CI.read_text("utf-8"))}
WORKFLOWS = [name for name in FILES if name.endswith(".yml")]
OWN = ".github/workflows/tests.yml"
CHECKED = {name: FILES[name] for name in WORKFLOWS} | {OWN: (ROOT / OWN).read_text("utf-8")}
"""The workflows of the page, and the one of this project."""
SCHEMAS = {".github": "vendor.github-workflows", ".gitlab-ci.yml": "vendor.gitlab-ci"}
LINT = """
extends: default
rules: {document-start: disable, line-length: {max: 110}, truthy: {check-keys: false}}
"""
SAFE = """
rules:
  anonymous-definition: {disable: true}
  unpinned-uses: {config: {policies: {"actions/*": ref-pin}}}
"""
"""GitHub's own actions may be named by their tags, and jobs needn't have a title."""


def lint(*command, text, folder):
    file = folder / "workflow.yml"
    file.write_text(text, "utf-8")
    done = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_are_workflows_of_both():
    assert sorted(WORKFLOWS) == [
        ".github/workflows/crossdiff-gate.yml",
        ".github/workflows/crossdiff-measure.yml",
        ".gitlab-ci.yml",
    ]


@pytest.mark.parametrize("name", CHECKED)
def test_they_have_the_form_that_is_asked_for(name, tmp_path):
    schema = SCHEMAS[name.partition("/")[0]]
    command = sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema
    lint(*command, text=CHECKED[name], folder=tmp_path)


@pytest.mark.parametrize("name", CHECKED)
def test_they_are_tidy(name, tmp_path):
    command = sys.executable, "-m", "yamllint", "--strict", "-d", LINT
    lint(*command, text=CHECKED[name], folder=tmp_path)


@pytest.mark.parametrize("name", [name for name in CHECKED if name.startswith(".github")])
def test_they_are_safe(name, tmp_path):
    """Credentials that stay behind, texts of others in a shell, rights that aren't needed ..."""
    config = tmp_path / "zizmor.yml"
    config.write_text(SAFE, "utf-8")
    program = Path(sys.executable).with_name("zizmor")
    command = program, "--offline", "--no-progress", "--persona=pedantic", f"--config={config}"
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    lint(*command, text=CHECKED[name], folder=folder)


def scripts(node):
    """Every text that a shell runs."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("run", "script"):
                yield from [value] if isinstance(value, str) else value
            else:
                yield from scripts(value)
    elif isinstance(node, list):
        for value in node:
            yield from scripts(value)


COMMANDS = [line for name in WORKFLOWS for line in scripts(yaml.safe_load(FILES[name]))]


def test_nothing_that_others_may_write_is_put_into_a_shell():
    assert len(COMMANDS) >= 7
    assert not [line for line in COMMANDS if "${{" in line]


@pytest.mark.parametrize("line", sorted({c for c in COMMANDS if not c.startswith("pip ")}))
def test_what_they_run_runs(line, pytester, monkeypatch):
    for name in ("CROSSDIFF_CANDIDATE", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:hypothesispytest -p fake_engine")
    paths = [str(pytester.path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    pytester.makefile(".ini", pytest=FILES["pytest.ini"])
    install_for_subprocess(pytester.path, make_result())
    program, *arguments = shlex.split(line)
    module = {"pytest": "pytest", "crossdiff": "pytest_crossdiff"}[program]
    assert pytester.run(sys.executable, "-m", module, *arguments).ret == 0
    if program == "pytest":
        assert (pytester.path / "junit.xml").exists()
        assert list((pytester.path / "crossdiff-report").glob("*.html"))


def test_every_property_of_the_junit_file_is_listed():
    result = make_result(output=make_output(), replies=refusing(100, 16))
    given = {name for name, _ in junit.properties(PairSummary.of(Report.of(result)))}
    given = {name for name in given if not name.endswith(("_low", "_high"))}
    rows = re.findall(r"^\| (`crossdiff\..*?) \|", CI.read_text("utf-8"), re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(.*?)`", row)} == given
