"""Whether the model or the workflow has changed, in a message and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.report.markup import escaped
from pytest_crossdiff.results.wording import workflow_parts
from pytest_crossdiff.text import Display, wrapped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.results.result import Result


def workflow_lines(result: Result, display: Display) -> list[str]:
    """The effects of model and workflow, each on lines of its own."""
    if result.workflow is None:
        return []
    lines = [f"{name:<11}{text}" for name, text in workflow_parts(result.workflow)]
    return [part for line in lines for part in wrapped(line, display.width, 11)]


def workflow_section(result: Result) -> Iterator[str]:
    """The same as a list."""
    if result.workflow is None:
        return
    yield from ("", "Since the last sign-off:", "")
    for name, text in workflow_parts(result.workflow):
        yield f"- {name}: {escaped(text, 600)}"
