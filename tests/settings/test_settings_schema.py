"""The JSON Schema for editors accepts what the settings accept, and refuses what they refuse."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import jsonschema
import pytest

from pytest_crossdiff.settings import fields
from support.reference.settings import kind

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "pytest_crossdiff/settings/schema.json").read_text("utf-8"))
NUMBERS = [-1, 0, 1, 7, 0.05, 0.5, 1.5, 10**13]  # 1.0 is a whole number to a JSON Schema
WORDS = ["true", "maybe", "0.5", "1_000", "none", "", "auto", "cpu", "float32", "dfc", "linear"]
VALUES = [*NUMBERS, True, False, *WORDS, "mlp", "fail", "never", "own"]
EXACT = ("flag", "integer", "number", "optional_number", "choice")
"""Parsers of which the schema knows all: every other takes text of many forms."""
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


def accepted(settings):
    return VALIDATOR.is_valid(settings)


def parses(field, value):
    """Whether the setting takes what pytest makes of a value in a TOML file."""
    try:
        field.parse(str(value))
    except ValueError:
        return False
    return True


def test_every_setting_is_described():
    assert [*SCHEMA["properties"]] == [f"crossdiff_{field.name}" for field in fields()]
    VALIDATOR.check_schema(SCHEMA)


@pytest.mark.parametrize("field", [f for f in fields() if kind(f.parse) in EXACT],
                         ids=lambda field: field.name)  # fmt: skip
def test_what_is_accepted_can_be_parsed(field):
    wrong = [v for v in VALUES if accepted({f"crossdiff_{field.name}": v}) and not parses(field, v)]
    text_of_numbers = [v for v in wrong if isinstance(v, str) and re.fullmatch(r"[\d._]+", v)]
    assert wrong == text_of_numbers  # a pattern has no bounds


@pytest.mark.parametrize("field", [f for f in fields() if kind(f.parse) in EXACT],
                         ids=lambda field: field.name)  # fmt: skip
def test_numbers_flags_and_names_that_can_be_parsed_are_accepted(field):
    typed = {"flag": bool, "choice": str}.get(kind(field.parse), (int, float))
    typed_values = [
        v for v in VALUES if isinstance(v, typed) and isinstance(v, bool) is (typed is bool)
    ]
    refused = [
        v for v in typed_values
        if parses(field, v) and not accepted({f"crossdiff_{field.name}": v})
    ]  # fmt: skip
    assert not refused


def test_a_misspelt_setting_is_refused_and_those_of_others_are_not():
    assert not accepted({"crossdiff_layers": "0.5"})
    assert accepted({"testpaths": ["tests"], "crossdiff_layer": "0.5, output"})


def test_the_examples_of_the_documents_are_accepted():
    found = [
        block
        for page in (ROOT / "docs").rglob("*.md")
        for block in re.findall(
            r"^```toml\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        )
    ]
    assert len(found) > 10
    for block in found:
        VALIDATOR.validate(tomllib.loads(block)["tool"]["pytest"]["ini_options"])
