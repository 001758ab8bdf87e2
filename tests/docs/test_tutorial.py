"""The tutorial and README's first commands, followed to the letter on a real pair: from two models
and texts to an accepted difference.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from support import planted

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs" / "tutorial" / "first-verdict.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
INDEX = (ROOT / "docs" / "index.md").read_text("utf-8")
SMALL = {name: value for name, value in planted.SMALL.items() if name != "corpus"}
SMALL |= {"seeds": 1, "controls": False, "cache_dir": "cache"}
"""The settings with which the session has measured the pair."""


class Step(NamedTuple):
    """A command of the tutorial, its exit code and what it printed."""

    line: str
    code: int
    shown: str


def steps() -> list[str]:
    """The commands of the tutorial after the installation and the demo, in order."""
    found = re.findall(r"^```sh\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)
    return [line for block in found for line in block.splitlines()]


def run(folder: Path, line: str) -> Step:
    """As a user types it, with our programs first on the path."""
    left_out = re.compile("CI$|CROSSDIFF_|GITHUB_|PYTEST_|NO_COLOR|FORCE_COLOR")
    environment = {k: v for k, v in os.environ.items() if not left_out.match(k)}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    for name, value in {"COUNT": "1", "KEY_0": "user.name", "VALUE_0": "Ann"}.items():
        environment[f"GIT_CONFIG_{name}"] = value
    done = subprocess.run(
        ["bash", "-e", "-c", line],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return Step(line, done.returncode, done.stdout)


@pytest.fixture(scope="module")
def followed(measured: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Step]]:
    """The project after the last command.  Layer and amounts of the configuration that `init` wrote
    are those with which the session has measured the same models and texts.
    """
    folder = tmp_path_factory.mktemp("tutorial")
    shutil.copytree(measured / "models", folder / "models")
    shutil.copytree(measured / "cache", folder / "cache")
    (folder / "evals").mkdir()
    shutil.copy(measured / "texts.jsonl", folder / "evals" / "prompts.jsonl")
    done = []
    for line in steps():
        done.append(run(folder, line))
        if line.startswith("crossdiff init"):
            file = folder / "pytest.ini"
            kept = re.sub(r"(?m)^crossdiff_layer = .*\n", "", file.read_text("utf-8"))
            lines = "".join(f"crossdiff_{name} = {value}\n" for name, value in SMALL.items())
            file.write_text(kept + lines, "utf-8")
    return folder, done


def test_readme_the_start_page_and_the_tutorial_begin_with_the_same_commands() -> None:
    def commands(text: str) -> list[str]:
        block = re.search(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        assert block is not None
        return [
            line.removeprefix("$ ").partition("  #")[0].rstrip() for line in block[1].splitlines()
        ]

    own_models = steps()[:3]
    assert commands(README) == ["pip install .", "crossdiff demo", *own_models]
    assert commands(TUTORIAL) == ["pip install .", "crossdiff demo"]
    assert commands(INDEX) == ["pip install .", *own_models]


@pytest.mark.long
def test_it_leads_from_two_models_to_a_failing_and_then_to_an_accepted_difference(
    followed: tuple[Path, list[Step]],
) -> None:
    folder, done = followed
    codes = {
        "crossdiff init": [0], "crossdiff doctor": [0], "pytest --crossdiff": [1, 0, 0],
        "crossdiff show": [0, 0],
    }  # fmt: skip
    for command, expected in codes.items():
        found = [step for step in done if step.line.startswith(command)]
        assert [step.code for step in found] == expected, [step.shown for step in found]
    (entry,) = json.loads((folder / "crossdiff-accepted.json").read_text("utf-8"))["accepted"]
    assert entry["reason"] == "function words are not used by our product"


def test_what_it_says_of_the_difference_is_what_is_shown(
    followed: tuple[Path, list[Step]],
) -> None:
    _, done = followed
    verdict = next(step.shown for step in done if step.line == "pytest --crossdiff")
    assert "BASELINE-ONLY: 1 difference, budget 0" in TUTORIAL
    assert "BASELINE-ONLY: 1 difference, budget 0" in verdict
    words = re.search(r"distinguishes the words (.*?), and the candidate", TUTORIAL)
    assert words is not None
    assert set(re.findall(r'"(\w+)"', words[1])) == set(planted.MERGED)
    shown = next(step.shown for step in done if step.line.endswith("--id B1"))
    assert any(f"⟦ {word}⟧" in shown for word in planted.MERGED)
