"""The GitHub Action of this repository and the GitLab template: valid, and run step by step as the
services run them, in a small project whose engine answers at once.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_docs_ci import LINT, SAFE, lint

from support.commands import PAIR
from support.fake_engine import install_for_subprocess
from support.results import make_difference, make_result

ROOT = Path(__file__).parents[2]
FILES = {
    "vendor.github-actions": ROOT / "action.yml",
    "vendor.gitlab-ci": ROOT / "docs" / "ci" / "crossdiff.gitlab-ci.yml",
}
ACTION: dict[str, Any] = yaml.safe_load(FILES["vendor.github-actions"].read_text("utf-8"))
GITLAB: dict[str, Any] = yaml.safe_load(FILES["vendor.gitlab-ci"].read_text("utf-8"))


@pytest.mark.parametrize("schema", FILES)
def test_they_have_the_form_that_is_asked_for_and_are_tidy(schema, tmp_path):
    text = FILES[schema].read_text("utf-8")
    form = "-m", "check_jsonschema", "--builtin-schema", schema
    for command in (form, ("-m", "yamllint", "--strict", "-d", LINT.replace("110", "120"))):
        lint(sys.executable, *command, text=text, folder=tmp_path)


def test_the_action_is_safe(tmp_path):
    config = tmp_path / "zizmor.yml"
    config.write_text(SAFE.replace("ref-pin", "hash-pin"), "utf-8")
    shutil.copy(FILES["vendor.github-actions"], tmp_path)
    program = Path(sys.executable).with_name("zizmor")
    command = program, "--offline", "--no-progress", "--persona=pedantic", f"--config={config}"
    done = subprocess.run(
        [*command, tmp_path / "action.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_that_others_may_write_is_put_into_a_shell():
    scripts = [step["run"] for step in ACTION["runs"]["steps"] if "run" in step]
    assert len(scripts) == 3
    assert not [script for script in scripts if "${{" in script]


@dataclass
class Run:
    """One use of the action.  ran: exit codes by step; saved, restored, uploaded: what the service
    was asked for.
    """

    ran: dict[str, int] = field(default_factory=dict)
    output: str = ""
    restored: list[dict[str, str]] = field(default_factory=list)
    saved: list[dict[str, str]] = field(default_factory=list)
    uploaded: list[str] = field(default_factory=list)


def environment(folder: Path, **given: str) -> dict[str, str]:
    service = re.compile(r"CI|CROSSDIFF_|GITHUB_|PYTEST_|COLUMNS|NO_COLOR|FORCE_COLOR")
    kept = {name: value for name, value in os.environ.items() if not service.match(name)}
    programs = os.pathsep.join([str(folder / "bin"), kept["PATH"]])
    paths = os.pathsep.join([str(folder), kept.get("PYTHONPATH", str(ROOT))])
    ours = {"PATH": programs, "PYTHONPATH": paths, "CI": "true"}
    return kept | ours | {"PYTEST_ADDOPTS": "-p no:hypothesispytest -p fake_engine"} | given


def shell(script: str, folder: Path, given: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """As GitHub starts bash."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
        cwd=folder, env=environment(folder, **given), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, encoding="utf-8", check=False,
    )  # fmt: skip


def used(folder: Path, **inputs: str) -> Run:
    """Run the action in `folder`."""
    known = {name: given["default"] for name, given in ACTION["inputs"].items()}
    assert inputs.keys() <= known.keys()
    known |= inputs
    values = {f"inputs.{name}": value for name, value in known.items()}
    values |= {"github.run_id": "7", "github.run_attempt": "1"}

    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ ([\w.-]+) \}\}", lambda found: values[found[1]], text)

    run, failed = Run(), False
    for step in ACTION["runs"]["steps"]:
        if not holds(step.get("if", "success()"), values, failed=failed):
            continue
        given = {name: filled(value) for name, value in step.get("with", {}).items()}
        match step.get("uses", "").partition("@")[0]:
            case "":
                assert step["shell"] == "bash"
                where = folder / filled(step["working-directory"])
                variables = {name: filled(value) for name, value in step.get("env", {}).items()}
                summary = {
                    "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
                    "GITHUB_WORKSPACE": str(folder),
                }
                done = shell(step["run"], where, variables | summary | {"GITHUB_ACTIONS": "true"})
                run.ran[step["name"]], run.output = done.returncode, run.output + done.stdout
                failed |= done.returncode != 0
            case "actions/cache/restore":
                run.restored.append(given)
            case "actions/cache/save":
                run.saved.append(given)
            case "actions/upload-artifact":
                run.uploaded = sorted(path.name for path in (folder / given["path"]).iterdir())
            case other:
                raise AssertionError(f"unknown: {other}")
    return run


def holds(condition: str, values: dict[str, str], *, failed: bool) -> bool:
    """A condition of the forms that the action has."""
    plain = re.sub(r"^\$\{\{ | \}\}$", "", condition)
    for part in plain.split(" && "):
        compared = re.fullmatch(r"(inputs\.[\w-]+) (==|!=) '(\w*)'", part)
        if compared:
            holding = (values[compared[1]] == compared[3]) is (compared[2] == "==")
        else:
            holding = {"always()": True, "!cancelled()": True, "success()": not failed}[part]
        if not holding or (compared and part == plain and failed):
            return False
    return True


@pytest.fixture
def project(tmp_path):
    """A project whose `pytest` and `crossdiff` are those of this interpreter."""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{PAIR}", "utf-8")
    (tmp_path / "bin").mkdir()
    for name, module in (("pytest", "pytest"), ("crossdiff", "pytest_crossdiff"), ("pip", "")):
        program = tmp_path / "bin" / name
        line = f'exec "{sys.executable}" -m {module} "$@"' if module else 'echo "pip $*"'
        program.write_text(f"#!/bin/bash\n{line}\n", "utf-8")
        program.chmod(0o755)
    return tmp_path


def test_a_candidate_over_budget_fails_the_job_with_its_report_uploaded(project):
    install_for_subprocess(project, make_result(make_difference()))
    (project / "test_other.py").write_text("def test_a_b(): pass\ndef test_c(): pass\n", "utf-8")
    run = used(
        project, candidate="org/newer", args='-v -k "crossdiff or a_b"', requirements="r.txt"
    )
    assert run.ran == {"Install": 0, "Compare": 1, "Keep the cache small": 0}
    assert "pip install -r r.txt" in run.output
    assert "crossdiff (environment): candidate=org/newer" in run.output
    assert "1 failed, 1 passed, 1 deselected" in run.output
    assert "::error file=pytest.ini,line=1,title=crossdiff" in run.output
    assert run.uploaded == ["junit.xml", "old-to-new-block-6.html", "old-to-new-block-6.md"]
    assert "Over budget" in (project / "summary.md").read_text("utf-8")
    assert run.restored == [
        {"path": "./.crossdiff", "key": "crossdiff-7-1", "restore-keys": "crossdiff-"}
    ]
    assert run.saved == [{"path": "./.crossdiff", "key": "crossdiff-7-1"}]


def test_one_within_is_green_and_where_nothing_may_be_measured_nothing_is_saved(project):
    install_for_subprocess(project, make_result())
    run = used(project, train="never")
    assert run.ran == {"Compare": 0}
    assert (len(run.restored), run.saved) == (1, [])
    assert "crossdiff (flags): " in run.output
    assert "train=never" in run.output


def test_the_gitlab_job_runs_line_by_line(project):
    install_for_subprocess(project, make_result(make_difference()))
    job = GITLAB[".crossdiff"]
    assert job["cache"]["paths"] == [".crossdiff/"]
    variables = job["variables"] | {"CROSSDIFF_ARGS": "-q -k crossdiff"}
    codes = [shell(line, project, variables).returncode for line in job["script"]]
    assert codes == [0, 1]
    assert [shell(line, project, variables).returncode for line in job["after_script"]] == [0]
    (case,) = ET.parse(project / job["artifacts"]["reports"]["junit"]).iter("testcase")
    assert case.find("failure") is not None
    assert list((project / job["artifacts"]["paths"][0]).glob("*.html"))
