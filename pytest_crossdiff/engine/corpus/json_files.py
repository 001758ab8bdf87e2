"""Records out of whole JSON and YAML files: a list of them, or a file of promptfoo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.corpus.lines import Records, read_jsonl, whole_text
from pytest_crossdiff.engine.corpus.promptfoo import configured_prompts, load_yaml
from pytest_crossdiff.errors import CorpusError

if TYPE_CHECKING:
    from pathlib import Path


def read_json(path: Path, name: str) -> Records:
    """The records of a JSON file; of one with an object a line as of a .jsonl file."""
    whole = whole_text(path, name)
    try:
        data = json.loads(whole)
    except (ValueError, RecursionError) as error:
        if _is_lines(whole):
            yield from read_jsonl(path, name)
            return
        raise CorpusError(
            f"{name}: malformed JSON: {error}",
            source=f"crossdiff_corpus: {path}",
            remedy="write a list of records",
        ) from error
    yield from records_of(data, path, name)


def read_yaml(path: Path, name: str) -> Records:
    """The records of a YAML file, such as promptfoo's configuration."""
    yield from records_of(load_yaml(whole_text(path, name), path, name), path, name)


def records_of(data: object, path: Path, name: str) -> Records:
    """The records in `data`: those of a list, the results or the prompts of promptfoo, the list
    that an object has under its only key, or the object itself.
    """
    if isinstance(data, Mapping):
        results = data.get("results")
        inner = results.get("results") if isinstance(results, Mapping) else results
        if isinstance(inner, list):
            data = inner
        elif {"prompts", "tests"} <= data.keys():
            yield from configured_prompts(data, path, name)
            return
        elif len(data) == 1 and isinstance(only := next(iter(data.values())), list):
            data = only
        else:
            data = [data]
    if not isinstance(data, list):
        raise CorpusError(
            f"{name} holds a {type(data).__name__}, not a list of records",
            source=f"crossdiff_corpus: {path}",
            remedy='write [{"text": ...}, ...] or [{"messages": [...]}, ...]',
        )
    for number, record in enumerate(data, 1):
        yield f"{name}:record {number}", record


def _is_lines(whole: str) -> bool:
    """Whether the first line is a JSON object by itself."""
    first = next((line for line in whole.splitlines() if line.strip()), "")
    try:
        return isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False
