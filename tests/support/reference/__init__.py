"""The reference pages, as far as they follow from the code.

    PYTHONPATH=tests:. python -m support.reference

writes the generated blocks of `docs/reference/`, the inputs of the GitHub Action, and the JSON
Schema of the settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.documents import DOCS
from support.reference import action, command, fixtures, report_schema, settings, settings_schema

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = DOCS / "reference"
SCHEMA = DOCS.parent / "pytest_crossdiff" / "settings" / "schema.json"


def blocks() -> dict[tuple[Path, str], str]:
    """The text of every generated block, by its page and name."""
    return {
        (REFERENCE / "settings.md", "settings"): settings.table(),
        (REFERENCE / "fixtures.md", "fixtures"): fixtures.table(),
        (REFERENCE / "command.md", "options"): command.options(),
        (REFERENCE / "report-schema.md", "report-schema"): report_schema.tables(),
        (DOCS / "how-to" / "ci.md", "inputs"): action.inputs(),
    }


def schema() -> str:
    """The text of the settings' JSON Schema."""
    return settings_schema.text()
