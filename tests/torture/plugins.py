"""`PYTHONPATH=tests python -m torture.plugins`: other pytest plugins beside this one.

Each plugin is installed by pip into a folder of its own and takes part in a session in which one
gate passes and one fails.  The verdicts, the summary and the exit code must be as without it.  A
plugin that can't be installed is reported and counts as not tried.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from support import fake_engine
from support.results import make_difference, make_result


class Case(NamedTuple):
    """package: on the index.  arguments: of pytest."""

    package: str
    arguments: tuple[str, ...]


CASES = (
    *(
        Case("pytest-xdist", ("-n2", f"--dist={mode}"))
        for mode in ("load", "loadscope", "loadfile", "loadgroup", "worksteal")
    ),
    Case("pytest-rerunfailures", ("--reruns=2",)),
    Case("pytest-randomly", ("-p", "randomly", "-p", "no:cacheprovider")),
    Case("pytest-timeout", ("--timeout=120",)),
    Case("pytest-cov", ("--cov=.",)),
    Case("pytest-html", ("--html=report.html",)),
    Case("pytest-asyncio", ("--asyncio-mode=auto",)),
    Case("pytest-subtests", ()),
)
TESTS = """
import pytest


def test_plain():
    assert True


@pytest.mark.parametrize("n", range(3))
def test_within(n, crossdiff):
    crossdiff.assert_baseline_only(max_count=0)


def test_over(crossdiff):
    crossdiff.assert_within_budget()
"""
COMMAND = sys.executable, "-m", "pytest", "-p", "fake_engine", "-p", "no:hypothesispytest"
WANTED = "1 failed, 4 passed"
INI = "[pytest]\ncrossdiff_baseline = org/old\ncrossdiff_candidate = org/new\n"


def tried(case: Case, folder: Path) -> str:
    """What went wrong; "" for nothing, and `not installed` where that is so."""
    target = folder / case.package
    if not target.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
        more = {"pytest-cov": ["coverage"], "pytest-html": ["pytest-metadata", "jinja2"]}
        more["pytest-xdist"] = ["execnet"]
        packages = [case.package, *more.get(case.package, [])]
        if subprocess.run(
            [*pip, str(target), *packages], check=False, capture_output=True
        ).returncode:
            return "not installed"
    project = folder / f"project-{abs(hash(case))}"
    project.mkdir()
    (project / "pytest.ini").write_text(INI)
    (project / "test_it.py").write_text(TESTS)
    fake_engine.install_for_subprocess(project, make_result(make_difference()))
    paths = [str(target), str(project), *sys.path]
    done = subprocess.run(
        [*COMMAND, *case.arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    asked = (project / "asked.txt").read_text().split() if (project / "asked.txt").exists() else []
    problems = [
        what
        for what, wrong in (
            (f"exit code {done.returncode}", done.returncode != 1),
            ("other outcomes", WANTED not in done.stdout),
            ("no summary", "OVER BUDGET: org/old" not in done.stdout),
            ("no message", "CANDIDATE-ONLY: 1 difference, budget 0" not in done.stdout),
            (f"measured by {len(asked)} processes", not 1 <= len(set(asked)) <= 2),
        )
        if wrong
    ]
    return "; ".join(problems) + (f"\n{done.stdout}{done.stderr}" if problems else "")


def main() -> int:
    failed = 0
    print("| plugin | arguments | result |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as made:
        for case in CASES:
            found = tried(case, Path(made))
            failed += bool(found) and found != "not installed"
            first = found.partition("\n")[0] or "as without it"
            print(f"| {case.package} | {' '.join(case.arguments)} | {first} |", flush=True)
            if found.partition("\n")[2]:
                print(found, file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
