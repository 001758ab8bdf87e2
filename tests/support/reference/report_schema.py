"""The report's JSON form as tables, from its JSON Schema."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from benchmarks.documents import DOCS

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE = DOCS.parent / "pytest_crossdiff" / "report" / "schema.json"


def tables() -> str:
    """A section for each kind of object, the report itself first."""
    schema = json.loads(FILE.read_text("utf-8"))
    kinds = {"Report": schema, **dict(sorted(schema["$defs"].items()))}
    objects = {name: kind for name, kind in kinds.items() if "properties" in kind}
    return "\n\n".join("\n".join(_section(*item)) for item in objects.items())


def _section(name: str, kind: dict[str, Any]) -> Iterator[str]:
    yield f"## {name}"
    yield ""
    if said := kind.get("description"):
        yield _plain(said)
        yield ""
    yield "| key | type |"
    yield "|---|---|"
    needed = kind.get("required", [])
    for key, value in kind["properties"].items():
        yield f"| `{key}` | {_type(value)}{'' if key in needed else ', may be missing'} |"


def _plain(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _type(value: dict[str, Any]) -> str:
    """What a key holds, in words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "const" in value:
        return f"`{json.dumps(value['const'])}`"
    if "enum" in value:
        return ", ".join(f"`{json.dumps(v)}`" for v in value["enum"])
    if "anyOf" in value:
        return " or ".join(_type(one) for one in value["anyOf"])
    match value.get("type"):
        case "array" if "prefixItems" in value:
            return f"list of {', '.join(_type(one) for one in value['prefixItems'])}"
        case "array":
            return f"list of {_type(value.get('items', {}))}"
        case "object" if isinstance(inner := value.get("additionalProperties"), dict):
            return f"object with values of type {_type(inner)}"
        case list() as several:
            return " or ".join(several)
        case str() as one:
            return one
    return "anything"
