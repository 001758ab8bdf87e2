"""What is released: metadata, README on the package index, files of the wheel, workflows, hooks."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pytest_crossdiff import __version__

hatchling = pytest.importorskip("hatchling", reason="the dependency group `test` is missing")

from hatchling.builders.wheel import WheelBuilder  # noqa: E402
from hatchling.metadata.core import ProjectMetadata  # noqa: E402
from hatchling.plugin.manager import PluginManager  # noqa: E402

from hatch_build import readme  # noqa: E402

ROOT = Path(__file__).parents[1]
WORKFLOW = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text("utf-8"))
PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14"]


@pytest.fixture(scope="module")
def metadata() -> ProjectMetadata:
    return ProjectMetadata(str(ROOT), PluginManager())


class TestMetadata:
    def test_every_supported_python_is_classified_and_tested(self, metadata):
        prefix = "Programming Language :: Python :: "
        named = [c.removeprefix(prefix) for c in metadata.core.classifiers if c.startswith(prefix)]
        assert [name for name in named if name.count(".") == 1] == PYTHONS
        assert WORKFLOW["jobs"]["tests"]["strategy"]["matrix"]["python"] == PYTHONS
        assert metadata.core.requires_python == f">={PYTHONS[0]}"

    def test_only_what_changes_the_product_is_a_published_extra(self, metadata):
        assert sorted(metadata.core.optional_dependencies) == [
            "gguf", "mlflow", "parquet", "peft", "trackio", "vllm", "wandb",
        ]  # fmt: skip

    def test_all_but_an_address_of_the_authors_is_there(self, metadata):
        core = metadata.core
        assert core.authors_data["name"] == ["The pytest-crossdiff maintainers"]
        assert core.urls
        assert len(core.keywords) > 5
        assert core.license_expression == "Apache-2.0"
        assert core.readme_content_type == "text/markdown"


class TestReadmeOnThePackageIndex:
    TEXT = "A [link](docs/a.md#b), [`c`](https://c.example/).\n\n![Shown](docs/img/a.png)\n\nEnd.\n"

    def test_relative_links_lead_to_the_release_in_the_repository(self):
        assert readme(self.TEXT, "https://host.example/p/", "1.2.3") == (
            "A [link](https://host.example/p/blob/v1.2.3/docs/a.md#b), [`c`](https://c.example/).\n\n"
            "![Shown](https://host.example/p/raw/v1.2.3/docs/img/a.png)\n\nEnd.\n"
        )

    def test_without_a_repository_their_text_is_left_and_images_are_left_out(self):
        assert readme(self.TEXT, "", "1.2.3") == "A link, [`c`](https://c.example/).\n\nEnd.\n"

    def test_what_is_released_has_no_relative_link(self, metadata):
        assert not re.search(r"\]\((?!https://|#)", metadata.core.readme)
        assert "pytest --crossdiff" in metadata.core.readme


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else():
    files = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    files = {name for name in files if not name.endswith(".pyc")}
    assert {name.partition("/")[0] for name in files} == {"pytest_crossdiff"}
    for name in ("py.typed", "settings/schema.json", "report/schema.json", "report/page/page.html"):
        assert f"pytest_crossdiff/{name}" in files


def test_the_changelog_dates_this_version_below_what_is_unreleased():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    first, second, *_ = re.findall(r"^## \[(.+?)\](?: - (\S+))?$", text, re.MULTILINE)
    assert first == ("Unreleased", "")
    assert second[0] == __version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", second[1])


def test_the_public_workflow_runs_what_every_other_run_does():
    steps = WORKFLOW["jobs"]["tests"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == [".ci/run"]


def test_what_is_released_is_listed_and_its_pins_are_audited():
    steps = WORKFLOW["jobs"]["package"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    assert "cyclonedx-py environment --pyproject pyproject.toml -o dist/sbom.json" in commands[-3]
    audits = [command for command in commands if command.startswith("pip-audit ")]
    assert [audit.split()[-1] for audit in audits] == ["constraints.txt", ".ci/requirements.txt"]
    assert steps[-1]["with"]["path"] == "dist"


def test_the_public_workflow_is_safe(tmp_path):
    """As those that the documentation proposes: `tests/docs/test_docs_ci.py`."""
    config = tmp_path / "zizmor.yml"
    config.write_text('rules: {unpinned-uses: {config: {policies: {"actions/*": ref-pin}}}}')
    program = Path(sys.executable).with_name("zizmor")
    found = subprocess.run(
        [program, "--offline", "--no-progress", f"--config={config}", ROOT / ".github/workflows"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_hooks_before_a_commit_are_the_checks_of_ci():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0][
        "hooks"
    ]
    ci = (ROOT / ".ci/run").read_text("utf-8")
    for hook in hooks[:3]:
        assert f".venv/bin/{hook['name']}" in ci


PINS = [
    line
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    if not line.startswith("#")
]

LOCK = (ROOT / ".ci/requirements.txt").read_text("utf-8")


class TestPinnedVersions:
    def test_every_dependency_of_the_two_commands_is_pinned_once_for_each_python(self, metadata):
        groups = metadata.config["dependency-groups"]
        given = [
            *metadata.core.dependencies,
            *(d for name, group in groups.items() if name != "release" for d in group),
        ]
        needed = {_name(d) for d in given if isinstance(d, str)}
        pinned = {_name(line) for line in PINS}
        assert needed <= pinned
        once = [line for line in PINS if "; python_version <" not in line]
        assert len(once) == len({_name(line) for line in once})

    def test_each_pin_is_exact(self):
        form = r'[\w.-]+==[\w.]+( ; python_version (<|>=) "3\.11")?'
        assert [line for line in PINS if not re.fullmatch(form, line)] == []

    def test_ci_installs_these_versions_by_their_hashes(self):
        """All but torch, whose builds differ; `.ci/lock` writes the file."""
        locked = re.findall(
            r"^(\S+==\S+).*((?:\n    --hash=sha256:[0-9a-f]{64}.*)+)", LOCK, re.MULTILINE
        )
        assert len(locked) == len(re.findall(r"^\S", LOCK, re.MULTILINE))
        versions = {pin.split(" ")[0] for pin, _ in locked}
        tools = {"coverage", "matplotlib"}  # of groups that CI does not install
        wanted = {_as_locked(line) for line in PINS if _name(line) not in tools | {"torch"}}
        assert wanted <= versions
        assert "--require-hashes --no-deps -r .ci/requirements.txt" in (ROOT / ".ci/run").read_text(
            "utf-8"
        )


def _as_locked(pin: str) -> str:
    name, version = pin.split(" ")[0].split("==")
    return f"{_name(name)}=={version}"


def _name(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[<>=~!; \[]", requirement)[0].lower())
