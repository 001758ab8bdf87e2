"""The workflows of docs/how-to/ci.md, step by step as the services run them, on a real pair.

A measuring job in one clone, gates in others, the cache handed on as the services do; then what a
reviewer does about a red one.  What only the services can do (queues, permissions) is left out.
"""

from __future__ import annotations

import json
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
from test_docs_ci import FILES

from support import planted
from support.tokenizers import TEXTS

CACHE = ".crossdiff"
GIT = ("git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", "-c", "commit.gpgsign=no")
INSTALLED: set[str] = set()
SERVICE = re.compile(r"CI|CROSSDIFF_|GIT|PYTEST_|RUNNER_|COLUMNS|NO_COLOR|FORCE_COLOR")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run([*GIT, *arguments], cwd=folder, capture_output=True, check=True)


@dataclass
class Service:
    """What lies outside of a job: the repository, and the caches by their keys, newest last."""

    repository: Path
    folder: Path
    caches: dict[str, Path] = field(default_factory=dict)

    def clone(self, name: str) -> Path:
        folder = self.folder / name
        git(self.folder, "clone", "--quiet", str(self.repository), str(folder))
        return folder

    def save(self, key: str, path: Path) -> None:
        assert key not in self.caches  # they can't be written again
        self.caches[key] = self.folder / "caches" / key
        shutil.copytree(path, self.caches[key])

    def restore(self, key: str, others: str, path: Path) -> bool:
        fitting = [k for k in self.caches if k == key or (others and k.startswith(others))]
        if fitting:
            shutil.copytree(self.caches[fitting[-1]], path)
        return bool(fitting)


@dataclass
class Job:
    """A job in a fresh clone.  output: of each line that was run, with its exit code."""

    folder: Path
    environment: dict[str, str]
    output: dict[str, tuple[int, str]] = field(default_factory=dict)

    def shell(self, line: str, **environment: str) -> int:
        done = subprocess.run(
            ["bash", "-e", "-c", line],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            check=False,
        )
        self.output[line] = done.returncode, done.stdout
        return done.returncode

    def run(self, line: str, **environment: str) -> int:
        """As `shell`; what one job installed is there for all, since they share a machine here."""
        if line in INSTALLED:
            return 0
        code = self.shell(line, **environment)
        if line.startswith("pip ") and not code:
            INSTALLED.add(line)
        return code

    def said(self, beginning: str) -> str:
        return next(text for line, (_, text) in self.output.items() if line.startswith(beginning))

    def code(self, beginning: str) -> int:
        return next(code for line, (code, _) in self.output.items() if line.startswith(beginning))


def environment(**given: str) -> dict[str, str]:
    """Ours without what is set for us, and with our programs first; nothing is downloaded."""
    kept = {name: value for name, value in os.environ.items() if not SERVICE.match(name)}
    programs = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return kept | {"PATH": programs, "PIP_NO_INDEX": "1", "CI": "true"} | given


def on_github(service: Service, workflow: str, run: str) -> tuple[Job, list[str]]:
    """Run the only job of a workflow; also the files that it uploads."""
    (job,) = yaml.safe_load(FILES[f".github/workflows/{workflow}.yml"])["jobs"].values()
    folder = service.clone(f"github-{run}")
    summary = folder.with_suffix(".md")
    values = {"github.run_id": run, "github.run_attempt": "1", "inputs.candidate": ""}

    def filled(text: str) -> str:
        return re.sub(r"\$\{\{ (\S+) \}\}", lambda found: values[found[1]], text)

    shared = {name: filled(value) for name, value in job.get("env", {}).items()}
    made = Job(
        folder,
        environment(
            GITHUB_ACTIONS="true", GITHUB_RUN_ID=run, GITHUB_WORKSPACE=str(folder),
            GITHUB_STEP_SUMMARY=str(summary), **shared,
        ),
    )  # fmt: skip
    uploaded: list[str] = []
    failed = False
    for step in job["steps"]:
        if failed and step.get("if") not in ("always()", "${{ !cancelled() }}"):
            continue
        given = {name: filled(str(value)) for name, value in step.get("with", {}).items()}
        match step.get("uses", "").partition("@")[0]:
            case "":
                failed |= bool(made.run(filled(step["run"]), **step.get("env", {})))
            case "actions/checkout" | "actions/setup-python":
                pass
            case "actions/cache/restore":
                path = folder / given["path"]
                service.restore(given["key"], given["restore-keys"], path)
            case "actions/cache/save":
                service.save(given["key"], folder / given["path"])
            case "actions/upload-artifact":
                for path in map(folder.joinpath, given["path"].split()):
                    found = [path, *path.rglob("*")] if path.is_dir() else [path]
                    uploaded += [str(p.relative_to(folder)) for p in found if p.is_file()]
            case other:
                raise AssertionError(f"unknown: {other}")
    return made, sorted(uploaded)


def on_gitlab(service: Service, name: str, run: str, source: str) -> Job:
    """Run one job of the pipeline."""
    pipeline = yaml.safe_load(FILES[".gitlab-ci.yml"])
    job: dict[str, Any] = pipeline["default"] | pipeline[name]
    assert any(source in rule["if"] for rule in job["rules"])
    folder = service.clone(f"gitlab-{run}")
    (cached,) = (folder / path for path in job["cache"]["paths"])
    service.restore(job["cache"]["key"], "", cached)
    made = Job(folder, environment(GITLAB_CI="true", CI_PIPELINE_SOURCE=source))
    for line in job["script"]:
        if made.run(line):
            break
    return made


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """A repository with the settings of docs/how-to/ci.md, with small models and a fixed text."""
    folder = tmp_path_factory.mktemp("ci")
    repository = folder / "repository"
    planted.plain(repository / "models" / "v1")
    planted.merged(repository / "models" / "v2")
    shutil.copy(TEXTS, repository / "texts.jsonl")
    ini, more = FILES["pytest.ini"], planted.SMALL | {"seeds": 1, "controls": False}
    del more["corpus"]
    ours = {"baseline": "models/v1", "candidate": "models/v2", "corpus": "texts.jsonl"}
    for name, value in ours.items():
        ini, changed = re.subn(rf"(?m)^(crossdiff_{name} = ).*$", rf"\g<1>{value}", ini)
        assert changed == 1
    lines = (f"crossdiff_{name} = {value}\n" for name, value in more.items())
    (repository / "pytest.ini").write_text(ini + "".join(lines), "utf-8")
    (repository / "requirements-test.txt").write_text("pytest-crossdiff\n", "utf-8")
    (repository / ".gitignore").write_text(f"{CACHE}/\n", "utf-8")
    git(repository, "init", "--quiet")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "start")
    return Service(repository, folder)


@pytest.fixture(scope="module")
def measured_at_night(service: Service) -> Job:
    job, _ = on_github(service, "crossdiff-measure", "1")
    return job


@pytest.fixture(scope="module")
def gated(service: Service, measured_at_night: Job) -> tuple[Job, list[str]]:
    return on_github(service, "crossdiff-gate", "2")


def test_without_a_measurement_the_gate_is_red_and_says_what_to_do(service):
    """Before the first night: an error, not a pass, and nothing is measured for it."""
    alone = Service(service.repository, service.folder / "alone")
    alone.folder.mkdir()
    job, uploaded = on_github(alone, "crossdiff-gate", "1")
    assert job.code("pytest") == 1
    assert "the cache has no result for these models, texts and settings" in job.said("pytest")
    assert "1 error" in job.said("pytest")
    assert uploaded == ["junit.xml"]


@pytest.mark.long
def test_the_night_fills_the_cache_and_is_green_whatever_differs(service, measured_at_night):
    assert {code for code, _ in measured_at_night.output.values()} == {0}
    assert "OVER BUDGET" in measured_at_night.said("crossdiff train")
    (kept,) = [path for key, path in service.caches.items() if key == "crossdiff-1-1"]
    kinds = {path.name for path in kept.iterdir() if path.is_dir()}
    assert "result" in kinds
    assert list(kept.glob("result/*/*/result.json"))


def test_the_gate_reads_it_in_another_clone_and_is_red(gated):
    job, uploaded = gated
    assert job.code("pytest") == 1
    text = job.said("pytest")
    assert "BASELINE-ONLY: 1 difference, budget 0" in text
    assert "from cache (measured in" in text
    assert uploaded == [
        "crossdiff-report/.gitignore", "crossdiff-report/v1-to-v2-block-0.html",
        "crossdiff-report/v1-to-v2-block-0.md", "junit.xml",
    ]  # fmt: skip


def test_what_github_is_told_of_it(gated):
    job, _ = gated
    (annotation,) = re.findall(r"^::error .*$", job.said("pytest"), re.MULTILINE)
    assert annotation.startswith("::error file=pytest.ini,line=1,title=crossdiff%3A BASELINE-ONLY")
    summary = job.folder.with_suffix(".md").read_text("utf-8")
    assert summary.startswith("### crossdiff: ")
    assert "❌ Over budget" in summary
    (case,) = ET.parse(job.folder / "junit.xml").iter("testcase")
    told = {p.get("name"): p.get("value") for p in case.iter("property")}
    assert told["crossdiff.verdict"] == "exceeded"
    assert told["crossdiff.baseline_only"] == "1"


def test_what_a_reviewer_accepts_and_commits_is_green_from_then_on(service, gated):
    laptop = service.clone("laptop")
    service.restore("", "crossdiff-", laptop / CACHE)
    mine = Job(laptop, {k: v for k, v in environment().items() if k != "CI"})
    accept = "pytest --crossdiff --crossdiff-accept=B1 --crossdiff-author=Ann"
    assert mine.shell(f'{accept} --crossdiff-reason="read it"') == 0, mine.output
    git(laptop, "add", "crossdiff-accepted.json")
    git(laptop, "commit", "--quiet", "-m", "accept")
    branch = service.folder / "accepted.git"
    git(service.folder, "clone", "--quiet", "--bare", str(laptop), str(branch))
    after = Service(branch, service.folder / "after", service.caches)
    after.folder.mkdir()
    job, uploaded = on_github(after, "crossdiff-gate", "3")
    assert job.code("pytest") == 0, job.output
    assert "within budget" in job.said("pytest")
    assert "accepted        B1, b-" in job.said("pytest")
    assert "crossdiff-report/v1-to-v2-block-0.html" in uploaded
    assert "::" not in [line[:2] for line in job.said("pytest").splitlines()]
    (entry,) = json.loads((laptop / "crossdiff-accepted.json").read_text("utf-8"))["accepted"]
    shown = set(re.findall(r"'(\w+)'", entry["description"].partition(";")[0]))
    assert shown <= set(planted.MERGED)
    assert len(shown) == 5


def test_it_can_t_be_accepted_where_ci_runs(service, gated):
    job = Job(service.clone("sneaky"), environment())
    assert job.shell('pytest --crossdiff --crossdiff-accept=B1 --crossdiff-reason="x"') == 4
    assert not (job.folder / "crossdiff-accepted.json").exists()


def test_gitlab(service, measured_at_night):
    lab = Service(service.repository, service.folder / "lab")
    lab.folder.mkdir()
    lab.caches["crossdiff"] = service.caches["crossdiff-1-1"]  # spares measuring it once more
    night = on_gitlab(lab, "measure", "1", "schedule")
    assert {code for code, _ in night.output.values()} == {0}
    request = on_gitlab(lab, "gate", "2", "merge_request_event")
    assert request.code("pytest") == 1
    assert "BASELINE-ONLY: 1 difference" in request.said("pytest")
    assert "::error" not in request.said("pytest")
    (case,) = ET.parse(request.folder / "junit.xml").iter("testcase")
    failure = case.find("failure")
    assert failure is not None
    assert "What to do:" in (failure.text or "")
    assert list((request.folder / "crossdiff-report").glob("*.html"))
