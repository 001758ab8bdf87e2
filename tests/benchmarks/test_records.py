"""Records survive an interrupted run, and the committed ones are read as they were written."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from benchmarks.organisms import collected
from benchmarks.real import pairs
from benchmarks.records import Records, by_name, named, read_tables, write_tables

ROOT = Path(collected.__file__).parents[2]
ODD = {"text": "a line\u2028that JSON doesn't end, \x85 nor this, \n nor this", "n": [1, None]}


def test_records_outlive_an_interrupted_run(tmp_path: Path) -> None:
    Records(tmp_path / "r.jsonl").add("one", dict(ODD))
    Records(tmp_path / "r.jsonl").add("two", {"value": 1})
    assert Records(tmp_path / "r.jsonl") == {"one": ODD, "two": {"value": 1}}


def test_the_last_record_of_a_name_counts(tmp_path: Path) -> None:
    for value in (1, 2):
        Records(tmp_path / "r.jsonl").add("one", {"value": value})
    assert Records(tmp_path / "r.jsonl") == {"one": {"value": 2}}


def test_tables_are_read_as_they_were_written_one_record_a_line(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "t.jsonl"
    records = {"x": {"value": 1}, "y": dict(ODD)}
    write_tables(path, {"first": named(records), "none": [], "second": [{"value": 3}]})
    lines = path.read_text("utf-8").split("\n")
    assert [json.loads(line)["table"] for line in lines[:-1]] == ["first", "first", "second"]
    found = read_tables(path)
    assert (by_name(found["first"]), found["second"]) == (records, [{"value": 3}])
    assert "none" not in found


def test_the_committed_results_of_organisms_are_written_as_they_were_read(tmp_path: Path) -> None:
    collected.write(collected.read(), tmp_path / "o.jsonl")
    assert (tmp_path / "o.jsonl").read_bytes() == collected.RESULTS.read_bytes()


def test_a_pair_that_is_measured_anew_replaces_its_own_record_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = pairs.UPGRADES.read_text("utf-8").split("\n")
    (tmp_path / "u.jsonl").write_text("\n".join(before), "utf-8")
    monkeypatch.setattr(pairs, "UPGRADES", tmp_path / "u.jsonl")
    pairs.write_upgrades({"minilm-int8": {"status": "exceeded"}})
    after = (tmp_path / "u.jsonl").read_text("utf-8").split("\n")
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert [json.loads(line)["name"] for line in changed] == ["minilm-int8"]


def named_commands() -> list[str]:
    """Every module that a document or a benchmark's first lines tell the reader to run."""
    files = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("*.md"), *ROOT.glob("benchmarks/**/*.py")]
    found = (re.findall(r"-m (benchmarks[\w.]*\w)", file.read_text("utf-8")) for file in files)
    return sorted({name for names in found for name in names} - {"benchmarks.speed.NAME"})


@pytest.mark.parametrize("name", named_commands())
def test_every_command_that_is_named_can_be_run(name: str) -> None:
    spec = importlib.util.find_spec(name)
    if spec is not None and spec.submodule_search_locations:
        spec = importlib.util.find_spec(f"{name}.__main__")
    assert spec is not None
    assert 'if __name__ == "__main__":' in Path(str(spec.origin)).read_text("utf-8")
