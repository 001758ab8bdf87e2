"""The JSON Schema of report.json says what the code writes: no less, and nothing else."""

from __future__ import annotations

import dataclasses
import inspect
import json
import types
import typing
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import pytest_crossdiff
from pytest_crossdiff.gate.budgets import Budgets
from pytest_crossdiff.gate.check import Check
from pytest_crossdiff.gate.verdict import compute_verdict
from pytest_crossdiff.report.document import FORMAT, VERSION, Report
from pytest_crossdiff.report.write import render
from pytest_crossdiff.settings import Settings
from support.large_results import large
from support.results import (
    make_difference,
    make_entry,
    make_recognised,
    make_recognition,
    make_result,
)

PATH = Path(pytest_crossdiff.__file__).parent / "report" / "schema.json"
NUMBERS = {float: "number", int: "integer", str: "string", bool: "boolean"}


def schema() -> dict[str, Any]:
    """The schema, out of the dataclasses that are written."""
    kinds: dict[str, Any] = {}
    _object(Report, kinds)
    report = kinds.pop("Report")
    report["properties"]["version"] = {"const": VERSION}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"{FORMAT}, version {VERSION}",
        **report,
        "$defs": dict(sorted(kinds.items())),
    }


def _object(kind: Any, kinds: dict[str, Any]) -> None:
    if kind.__name__ in kinds:
        return
    kinds[kind.__name__] = {}
    hints = typing.get_type_hints(kind)
    documented = [k.__doc__ for k in kind.__mro__ if dataclasses.is_dataclass(k)]
    properties = {f.name: _kind(hints[f.name], kinds) for f in dataclasses.fields(kind)}
    kinds[kind.__name__] = {
        "description": " ".join(" ".join(map(inspect.cleandoc, documented)).split()),
        "type": "object",
        "properties": properties,
        "required": list(properties),
    }


def _kind(hint: Any, kinds: dict[str, Any]) -> dict[str, Any]:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        if parts[-1] is Ellipsis:
            return {"type": "array", "items": _kind(parts[0], kinds)}
        items = [_kind(part, kinds) for part in parts]
        return {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _kind(parts[1], kinds)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_kind(part, kinds) for part in parts]}
    if origin is typing.Literal:
        return {"enum": list(parts)}
    if hint is types.NoneType:
        return {"type": "null"}
    if dataclasses.is_dataclass(hint):
        _object(hint, kinds)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    return {"type": NUMBERS[hint]}


def shipped() -> dict[str, Any]:
    return json.loads(
        resources.files("pytest_crossdiff.report").joinpath("schema.json").read_text()
    )


def checker() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(shipped())


def test_the_schema_that_is_shipped_is_that_of_the_code():
    jsonschema.Draft202012Validator.check_schema(shipped())
    assert shipped() == schema(), "run: PYTHONPATH=tests python tests/report/test_report_schema.py"


@pytest.mark.parametrize("result", [make_result(), make_result(make_difference()), large(30, 9)])
def test_what_is_written_is_valid(result):
    settings = Settings()
    check = Check.of(compute_verdict(result, Budgets.configured(settings)), "test")
    accepted = make_recognition(make_recognised("C1"), missing=(make_entry(),))
    for report in (
        Report.of(result),
        Report.of(result, checks=[check], settings=settings, accepted=accepted),
    ):
        checker().validate(json.loads(render(report, "json")))


@pytest.mark.parametrize(
    "broken",
    [
        {"version": 1},
        {"format": "other"},
        {"checks": [{"test": "x"}]},
        {"sides": [{"side": "baseline"}]},
        {"accepted": {"C1": {"by": "Ann"}}},
        {"result": {}},
    ],
)
def test_what_is_not_a_report_is_not_valid(broken):
    data = json.loads(render(Report.of(make_result(make_difference())), "json"))
    assert checker().is_valid(data)
    assert not checker().is_valid(data | broken)


if __name__ == "__main__":
    PATH.write_text(json.dumps(schema(), indent=1, ensure_ascii=False) + "\n", "utf-8")
