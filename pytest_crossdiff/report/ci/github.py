"""Output for GitHub Actions: annotations at the lines of a pull request, and the step summary."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pytest_crossdiff.gate.accepted_file import FILE
from pytest_crossdiff.report.acceptance import warnings
from pytest_crossdiff.report.markdown import markdown

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

    from pytest_crossdiff.report.document import Report
    from pytest_crossdiff.report.summary import PairSummary

    Problem = tuple[str, int | None, str]
    """File and line of a test, from 0, and what it failed for."""

MAX_ANNOTATION_LENGTH = 4_000
"""Characters of an annotation; the page of the run shows no more."""
SUMMARY = "GITHUB_STEP_SUMMARY"
MAX_SUMMARY_BYTES = 1_000_000
"""Bytes that a step may write into its summary, of which GitHub takes 1 MiB."""


def active() -> bool:
    """Whether this is a run of GitHub Actions."""
    return os.environ.get("GITHUB_ACTIONS") == "true"


def write_github_output(
    reporter: pytest.TerminalReporter,
    problems: Iterable[Problem],
    pairs: Iterable[PairSummary],
    reports: Iterable[Report],
) -> None:
    """Write annotations to the log, where GitHub reads them, and the step summary."""
    config = reporter.config
    if active():
        for path, line, text in dict.fromkeys(problems):
            file = in_repository(config.rootpath / path)
            reporter.write_line(annotation("error", text, file, (line or 0) + 1))
        file = in_repository((config.inipath.parent if config.inipath else config.rootpath) / FILE)
        for text in warnings(a for pair in pairs for a in pair.accepted):
            reporter.write_line(annotation("warning", text, file))
    try:
        if os.environ.get(SUMMARY):
            add_to_step_summary(map(markdown, reports))
    except Exception as error:  # noqa: BLE001  nothing may hide the result of the run
        reporter.write_line(f"crossdiff: no step summary: {error!r}")


def annotation(level: Literal["error", "warning"], text: str, file: str, line: int = 1) -> str:
    """The line on standard output that puts `text` beside `line` of `file`, a path from the root
    of the repository.  The first line of `text` is its title.
    """
    title, _, rest = text.partition("\n")
    shown = rest.strip("\n") or title
    if len(shown) > MAX_ANNOTATION_LENGTH:
        shown = shown[: MAX_ANNOTATION_LENGTH - 1] + "…"
    where = f"file={_property(file)},line={line},title={_property(f'crossdiff: {title}')}"
    return f"::{level} {where}::{_data(shown)}"


def in_repository(path: Path) -> str:
    """`path` as seen from the root of the repository, with `/`."""
    workspace = os.environ.get("GITHUB_WORKSPACE")
    if workspace:
        path = Path(os.path.relpath(path, workspace))
    return path.as_posix()


def add_to_step_summary(texts: Iterable[str]) -> None:
    """Append Markdown to the summary of the step, each text as long as it fits.

    Raises `OSError`.
    """
    path = Path(os.environ[SUMMARY])
    remaining_bytes = MAX_SUMMARY_BYTES - (path.stat().st_size if path.exists() else 0)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        for text in texts:
            remaining_bytes -= len(text.encode()) + 1
            if remaining_bytes < 0:
                file.write("\n… more in the log\n")
                return
            file.write(text + "\n")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
