"""The prompts of a promptfoo configuration: each prompt with the variables of each test put in.

jinja2 stands for the Nunjucks of promptfoo, and PyYAML reads its files.  Both are loaded only here.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from pytest_crossdiff.engine.corpus.columns import turns
from pytest_crossdiff.engine.corpus.lines import Records, numbered_lines, whole_text
from pytest_crossdiff.engine.corpus.time_limit import TooLongError, time_limit
from pytest_crossdiff.errors import CorpusError

CODE = (".js", ".mjs", ".cjs", ".ts", ".py", ".sh")
RESULTS = "run `promptfoo eval --output results.json`, and give that file as the corpus"


def load_yaml(text: str, path: Path, name: str) -> Any:  # noqa: ANN401  whatever YAML holds
    """The content of a YAML document.  Raises `CorpusError`."""
    source = f"crossdiff_corpus: {path}"
    try:
        import yaml
    except ImportError:
        raise CorpusError(
            f"{name}: a YAML file needs the package PyYAML",
            source=source,
            remedy="pip install PyYAML",
        ) from None
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise CorpusError(
            f"{name}: malformed YAML: {said}", source=source, remedy="write valid YAML"
        ) from error


def configured_prompts(data: Mapping[str, Any], path: Path, name: str) -> Records:
    """What promptfoo would send: every prompt with every test.

    Raises `CorpusError` where code computes prompts or tests, and for a prompt that can't be put
    together.
    """
    prompts = list(_prompts(data["prompts"], path, name))
    default = data.get("defaultTest")
    shared = default if isinstance(default, Mapping) else {}
    for number, test in enumerate(_tests(data["tests"], path, name), 1):
        options = {**_object(shared, "options"), **_object(test, "options")}
        values = {**_object(shared, "vars"), **_object(test, "vars")}
        for chosen in _combinations(values, path, name):
            for which, prompt in enumerate(prompts, 1):
                text = f"{options.get('prefix', '')}{prompt}{options.get('suffix', '')}"
                where = f"{name}:test {number}, prompt {which}"
                yield where, prompt_record(_filled(text, chosen, where, path))


def prompt_record(prompt: str) -> Mapping[str, object]:
    """A prompt as promptfoo sends it: a conversation in JSON or YAML, or what a user says."""
    conversation = turns(prompt)
    if not conversation and prompt.lstrip().startswith("- role:"):
        conversation = turns(load_yaml(prompt, Path("prompt"), "a prompt"))
    return {"messages": conversation or [{"role": "user", "content": prompt}]}


def _prompts(given: object, path: Path, name: str) -> Iterator[str]:
    for one in given if isinstance(given, list) else [given]:
        raw = one.get("raw", one.get("id")) if isinstance(one, Mapping) else one
        if not isinstance(raw, str):
            _refuse(f"{name} has a prompt that is a {type(raw).__name__}", path, RESULTS)
        yield from _prompts_of_file(raw, path, name) if _is_file(raw, path) else (raw,)


def _is_file(raw: str, path: Path) -> bool:
    if raw.startswith("file://"):
        return True
    return "\n" not in raw and len(raw) < 200 and (path.parent / raw).is_file()


def _prompts_of_file(raw: str, path: Path, name: str) -> Iterator[str]:
    for file in _files(raw, path, name):
        text = whole_text(file, file.name)
        if file.suffix == ".jsonl":
            yield from (line for line in text.split("\n") if line.strip())
        elif file.suffix == ".txt":
            yield from (part.strip() for part in f"\n{text}\n".split("\n---\n") if part.strip())
        else:
            yield text


def _tests(given: object, path: Path, name: str) -> Iterator[Mapping[str, Any]]:
    for one in given if isinstance(given, list) else [given]:
        if isinstance(one, Mapping) and "path" not in one:
            yield one
        elif isinstance(one, str):
            for file in _files(one, path, name):
                yield from _tests_of_file(file)
        else:
            _refuse(f"{name} has tests that code computes", path, RESULTS)


def _tests_of_file(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.suffix == ".csv":
        import csv

        for row in csv.DictReader(f"{line}\n" for _, line in numbered_lines(file, file.name)):
            yield {
                "vars": {k: v for k, v in row.items() if k and not k.startswith("__")},
                "options": {k[2:]: row[k] for k in ("__prefix", "__suffix") if row.get(k)},
            }
        return
    text = whole_text(file, file.name)
    if file.suffix == ".jsonl":
        found = [load_yaml(line, file, file.name) for line in text.split("\n") if line.strip()]
    else:
        found = load_yaml(text, file, file.name)  # of which JSON is a part
    for one in found if isinstance(found, list) else [found]:
        if not isinstance(one, Mapping):
            _refuse(f"{file.name} has a test that is a {type(one).__name__}", file, RESULTS)
        yield one if "vars" in one else {"vars": one}


def _files(raw: str, path: Path, name: str) -> list[Path]:
    """The files that a reference names, which may be a pattern."""
    named = raw.removeprefix("file://")
    if Path(named.partition(":")[0]).suffix in CODE or "://" in named:
        _refuse(f"{name}: {raw} is not a file of texts", path, RESULTS)
    found = [path.parent / named]
    if any(sign in named for sign in "*?["):
        found = sorted(path.parent.glob(named))
    if not found or not all(file.is_file() for file in found):
        _refuse(
            f"{name}: there is no file {raw}", path, "give a path from the configuration's folder"
        )
    return found


def _combinations(values: Mapping[str, Any], path: Path, name: str) -> Iterator[dict[str, Any]]:
    """The variables of a test; a list is one value after the other."""
    lists = [value if isinstance(value, list) else [value] for value in values.values()]
    for row in itertools.product(*lists):
        yield {
            key: _of_file(value, path, name)
            if isinstance(value, str) and value.startswith("file://")
            else value
            for key, value in zip(values, row, strict=True)
        }


def _of_file(raw: str, path: Path, name: str) -> str:
    file = _files(raw, path, name)[0]
    return whole_text(file, file.name)


def _filled(template: str, values: Mapping[str, Any], where: str, path: Path) -> str:
    """The template with its variables, as promptfoo fills it: variables may be templates, what is
    not given is empty, and of a prompt in JSON the strings are filled.
    """
    try:
        from jinja2 import TemplateError
        from jinja2.sandbox import SandboxedEnvironment
    except ImportError:
        _refuse(f"{where} needs the package jinja2", path, "pip install jinja2")
    environment = SandboxedEnvironment(keep_trailing_newline=True)
    environment.filters |= {"load": json.loads, "dump": json.dumps}

    def fill(text: str) -> str:
        with time_limit():
            return environment.from_string(text).render(given)

    def fill_strings(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
        if isinstance(value, dict):
            return {key: fill_strings(item) for key, item in value.items()}
        if isinstance(value, list):
            return [fill_strings(item) for item in value]
        return fill(value) if isinstance(value, str) else value

    given = values
    try:
        given = {k: fill(v) if isinstance(v, str) else v for k, v in values.items()}
        with contextlib.suppress(json.JSONDecodeError):
            parsed = json.loads(template)
            if isinstance(parsed, (list, dict)):
                return json.dumps(fill_strings(parsed), ensure_ascii=False)
        return fill(template)
    except (
        TemplateError,
        TypeError,
        ValueError,
        LookupError,
        ArithmeticError,
        RecursionError,
        MemoryError,
        TooLongError,
    ) as error:
        said = " ".join(str(error).split())
        _refuse(f"{where}: the prompt can't be filled in: {said}", path, RESULTS)


def _object(test: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = test.get(key)
    return value if isinstance(value, Mapping) else {}


def _refuse(what: str, path: Path, remedy: str) -> NoReturn:
    raise CorpusError(what, source=f"crossdiff_corpus: {path}", remedy=remedy)
