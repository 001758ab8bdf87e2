"""docs/explanation/reliability.md names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(
    r"`(tests/[\w/.]+)(?:::(\w+))?`", (ROOT / "docs/explanation/reliability.md").read_text("utf-8")
)


def test_every_promise_has_a_test():
    text = (ROOT / "docs/explanation/reliability.md").read_text("utf-8")
    promises = text.partition("## Promises")[2].partition("## Attacks")[0]
    rows = [line for line in promises.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 10
    assert all(re.search(r"\| `tests/\S+` \|$", row) for row in rows)


@pytest.mark.parametrize(("file", "name"), [pair for pair in NAMED if pair[0] != "tests/torture/"])
def test_the_tests_are_there(file, name):
    source = (ROOT / file).read_text("utf-8")
    assert f"def {name}(" in source or not name
