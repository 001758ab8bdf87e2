"""`crossdiff demo`: a first verdict on two small models that are made on the spot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_crossdiff.cli.arguments import command
from pytest_crossdiff.cli.exits import FINE

if TYPE_CHECKING:
    import argparse

    from pytest_crossdiff.cli.arguments import Commands
    from pytest_crossdiff.cli.terminal import Terminal

MORE = """\
Writes a folder with two small chat models of a shop, their conversations, pytest.ini and a
test, and runs pytest in it.  The second model was updated and refuses returns: the tests fail,
and the message and the report page say what changed.  Nothing is downloaded."""
EXAMPLES = """\
  crossdiff demo
  crossdiff demo tryout         another folder
  cd crossdiff-demo && pytest   once more; the answer comes from the cache"""
FOLDER = "crossdiff-demo"


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands, "demo", "try it on two small models, without any download", run,
        more=MORE, examples=EXAMPLES,
    )  # fmt: skip
    parser.add_argument("folder", metavar="FOLDER", nargs="?", default=FOLDER)


def run(options: argparse.Namespace, out: Terminal) -> int:
    """Write the project, run pytest in it, and say where to look.

    Raises `SettingsError` where the folder is there already.
    """
    import subprocess
    import sys

    from pytest_crossdiff.cli.progress import on_stderr
    from pytest_crossdiff.demo.project import write
    from pytest_crossdiff.errors import SettingsError

    folder = Path(options.folder)
    if folder.exists():
        raise SettingsError(
            f"{folder} is there already", remedy="name another folder: crossdiff demo FOLDER"
        )
    write(folder, on_stderr())
    out.line(f"wrote {folder}; running pytest in it. Its tests fail: the update refuses returns.")
    subprocess.run([sys.executable, "-m", "pytest"], cwd=folder, check=False)
    pages = sorted((folder / "crossdiff-report").glob("*.html"))
    out.line()
    out.line(f"The report: {', '.join(map(str, pages)) or 'none was written'}")
    out.line(f"Look around: cd {folder}, then `crossdiff show`, `pytest`, `crossdiff report`")
    return FINE
