"""A JSON Schema of the settings in `[tool.pytest.ini_options]`, for editors.

Numbers may also be written as text, as pytest's TOML files allow, so text of the right form is
accepted wherever a number is.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pytest_crossdiff.settings import fields
from support.reference.settings import bounds, kind

if TYPE_CHECKING:
    from collections.abc import Callable

INTEGER = r"^\s*[0-9][0-9_]*\s*$"
NUMBER = r"^\s*[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?\s*$"
NONE = {"enum": ["", "none"]}


def text() -> str:
    """The schema as JSON."""
    properties = {
        f"crossdiff_{field.name}": {"description": field.help, **_value(field.parse)}
        | ({} if field.default in ("", None, ()) else {"default": field.default})
        for field in fields()
    }
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Settings of pytest-crossdiff in pyproject.toml, [tool.pytest.ini_options]",
        "type": "object",
        "properties": properties,
        "patternProperties": {"^(?!crossdiff_)": {}},
        "additionalProperties": False,
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _value(parse: Callable[[str], object]) -> dict[str, Any]:
    bound = bounds(parse)
    match kind(parse):
        case "flag":
            return {"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}]}
        case "integer":
            whole = {"type": "integer", "minimum": bound["low"], "maximum": bound["high"]}
            return {"anyOf": [whole, {"type": "string", "pattern": INTEGER}]}
        case "number":
            low = "exclusiveMinimum" if bound["open_low"] else "minimum"
            number = {"type": "number", low: bound["low"], "maximum": bound["high"]}
            return {"anyOf": [number, {"type": "string", "pattern": NUMBER}]}
        case "optional_number":
            return {"anyOf": [*_value(bound["parse"])["anyOf"], NONE]}
        case "choice":
            return {"enum": list(bound["names"])}
        case "layers" | "optional_layers" | "extra_probe_layers":
            return {"type": ["integer", "number", "string"]}
        case "names":
            return {"type": ["string", "array"], "items": {"type": "string"}}
    return {"type": "string"}
