"""`PYTHONPATH=tests python -m torture.versions`: the oldest and newest versions that are supported.

Each case is an environment of its own, made by `venv` and pip.  A case of this Python takes what it
doesn't pin (torch above all, which is large) from the environment that runs this.  Another Python
gets the packages that the gate, the store and the settings need, and with --torch all.  The oldest
of everything together takes nothing from here.  What can't be installed is reported and counts as
not tried.

--only: cases whose name has these letters.  --keep FOLDER: the environments, for another time.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.metadata import requires
from pathlib import Path
from typing import NamedTuple

PROJECT = Path(__file__).parents[2]
HERE = "{}.{}".format(*sys.version_info)
LIGHT = ("pytest", "hypothesis", "numpy", "scipy", "filelock", "safetensors", "tabulate", "tqdm")
WITHOUT_TORCH = (
    "tests/gate",
    "--ignore=tests/gate/test_advice.py",
    "--ignore=tests/gate/test_recognition.py",
    "--ignore=tests/gate/test_accepting_retrained_models.py",
    "tests/store/test_store_files.py",
    "tests/store/test_store_digest.py",
    "tests/store/test_transfer.py",
    "tests/test_text.py",
    "--noconftest",
    "-p",
    "pytester",
)
SMOKE = (
    "tests/gate",
    "tests/store/test_transfer.py",
    "tests/settings",
    "tests/plugin/test_assertions.py",
    "tests/plugin/test_plugin_precedence.py",
    "tests/engine/test_pipeline.py::test_the_verdict_repeats_to_the_bit",
)


OLDEST = tuple(
    wanted.replace(">=", "==") for wanted in requires("pytest-crossdiff") or () if ";" not in wanted
)
"""Every dependency at its lower bound."""
BESIDE = ("hypothesis==6.100", "scipy==1.11.1", "jsonschema==4.20", "pytest-xdist==3.6.1")
"""What the tests need, as old."""


class Case(NamedTuple):
    """python: its version.  packages: pinned ones; none: those that are here.  alone: nothing else
    is taken from here.
    """

    python: str
    packages: tuple[str, ...] = ()
    alone: bool = False

    @property
    def name(self) -> str:
        if self.alone:
            return f"Python {self.python}, the oldest of all: {', '.join(self.packages)}"
        return f"Python {self.python}, {', '.join(self.packages) or 'newest'}"


CASES = (
    Case(HERE),
    Case(HERE, ("pytest==8.1.0",)),
    Case(HERE, ("transformers==5.0.0",)),
    Case(HERE, ("pytest==8.1.0", "transformers==5.0.0")),
    Case(HERE, ("torch==2.4.0",)),
    Case(HERE, OLDEST, alone=True),
    *(Case(python) for python in ("3.10", "3.11", "3.12", "3.13", "3.14") if python != HERE),
)


def made(case: Case, folder: Path, *, torch: bool) -> str:
    """Make the environment; why it can't be, "" where it could."""
    found = sys.executable if case.python == HERE else shutil.which(f"python{case.python}")
    if found is None or subprocess.run([found, "-V"], check=False).returncode:
        return f"no Python {case.python} here"
    if (folder / "made").exists():
        return ""
    subprocess.run([found, "-m", "venv", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    install = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet"]
    if case.alone:
        wanted = ["-e", str(PROJECT), *case.packages, *BESIDE]
    elif case.python == HERE:
        (site / "shared.pth").write_text(sysconfig.get_path("purelib"))
        wanted = [*case.packages]
    else:
        wanted = ["-e", f"{PROJECT}[test]"] if torch else [*LIGHT]
    if case.packages or case.python != HERE:
        done = subprocess.run([*install, *wanted], check=False, capture_output=True, text=True)
        if done.returncode:
            return f"not installed: {(done.stderr.strip().splitlines() or ['?'])[-1][:120]}"
    (folder / "made").touch()
    return ""


def tested(case: Case, folder: Path, *, torch: bool) -> tuple[bool, str]:
    """Run the smoke tests: whether they passed, and the last line that pytest wrote."""
    light = case.python != HERE and not torch
    plain = os.environ | {"PYTHONPATH": os.pathsep.join([str(PROJECT / "tests"), str(PROJECT)])}
    command = [str(folder / "bin/python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *(WITHOUT_TORCH if light else SMOKE)],
        cwd=PROJECT,
        env=plain,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-1000:], file=sys.stderr)
    last = (done.stdout.strip().splitlines() or ["nothing"])[-1]
    return not done.returncode, last + (" (without torch)" if light else "")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--torch", action="store_true")
    options = parser.parse_args()
    failed = 0
    print("| environment | result |\n|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        for number, case in enumerate(CASES):
            if options.only not in case.name:
                continue
            if any(of.startswith("torch") for of in case.packages) and not options.torch:
                print(f"| {case.name} | not tried without --torch |", flush=True)
                continue
            folder = (options.keep or Path(temporary)) / str(number)
            said = made(case, folder, torch=options.torch)
            if not said:
                passed, said = tested(case, folder, torch=options.torch)
                failed += not passed
            print(f"| {case.name} | {said} |", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
