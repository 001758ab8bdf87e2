"""`crossdiff run`: the gate of `pytest --crossdiff` alone, for scripts and to fill the cache."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pytest

from pytest_crossdiff import __version__
from pytest_crossdiff.options import fields

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WITHIN, EXCEEDED, UNMEASURED = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.  Returns 0: within budget, 1: budget exceeded, 2: couldn't measure."""
    options = _parser().parse_args(arguments)
    flags = [
        f"--crossdiff-{name.replace('_', '-')}={value}"
        for name, value in vars(options).items()
        if value is not None and name not in ("command", "quiet")
    ]
    gate = _GateOnly()
    quiet = ["-q"] if options.quiet else []
    # The package is imported before pytest could rewrite its asserts, which is no news to users.
    known = ["-W", "ignore::pytest.PytestAssertRewriteWarning"]
    plain = ["-p", "crossdiff", "--crossdiff", "--no-header"]
    code = pytest.main([*plain, *known, *quiet, *flags], [gate])
    if code == pytest.ExitCode.INTERRUPTED:
        return 130
    return UNMEASURED if code not in (0, 1) else gate.code


class _GateOnly:
    """Collects no test beside the gate and takes note of how it ended."""

    code = UNMEASURED

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Stay in this process: in workers of pytest-xdist we aren't heard."""
        config.option.dist = "no"

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        return True if collection_path.is_file() else None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.code = EXCEEDED if report.failed else WITHIN
        elif report.failed:
            self.code = UNMEASURED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="crossdiff", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser(
        "run",
        help="measure the configured pair and hold it against its budgets",
        description="Settings left out are those of the ini file. "
        "Exit code 0: within budget, 1: budget exceeded, 2: couldn't measure.",
    )
    run.add_argument("-q", "--quiet", action="store_true", help="say little")
    for field in fields():
        if not field.metadata["ini_only"]:
            run.add_argument(
                f"--{field.name.replace('_', '-')}",
                metavar=field.name.rpartition("_")[2].upper(),
                help=field.metadata["help"].replace("%", "%%"),
            )
    return parser
