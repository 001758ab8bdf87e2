"""Which keys of a record hold its text, as the setting `crossdiff_corpus_column` names them."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pytest_crossdiff.engine.corpus.messages import UnusableRecordError, normalised

ROLES = ("system", "user", "assistant")
TEXT = "text"
"""Instead of a role: the column holds running text."""
QUESTIONS = ("prompt", "question", "input", "query", "instruction")
"""Columns that hold what a user says, unless the setting says otherwise."""
SHAREGPT_ROLES = {"human": "user", "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant"}
SIDE_KEYS = ("id", "document", "slice", "tools")


class Column(NamedTuple):
    """A key of a record, or a path of keys with dots between, and what its text is: running text,
    or the turn of a role.
    """

    role: str
    name: str


def columns(setting: str) -> tuple[Column, ...]:
    """The columns that `crossdiff_corpus_column` names; () for none.

    Without roles, one column is a user's turn if its name is one of `QUESTIONS`, else running text,
    and of two columns the second is the assistant's.
    """
    parts = [part.strip() for part in setting.split(",") if part.strip()]
    found = []
    for number, part in enumerate(parts):
        role, _, name = part.partition(":")
        if role not in (*ROLES, TEXT) or not name:
            role, name = ("user", "assistant")[number] if len(parts) > 1 else "", part
        if not role:
            role = "user" if name.rpartition(".")[2] in QUESTIONS else TEXT
        found.append(Column(role, name.strip()))
    return tuple(found)


def from_columns(record: Mapping[str, object], chosen: Sequence[Column]) -> dict[str, object]:
    """The record in plain form: `text`, or `messages`.  Raises `UnusableRecordError`."""
    values = [_value(record, column.name) for column in chosen]
    kept = {key: record[key] for key in SIDE_KEYS if record.get(key) is not None}
    if len(chosen) == 1 and chosen[0].role == TEXT and not turns(values[0]):
        return {TEXT: _text(values[0], chosen[0].name), **kept}
    messages: list[object] = []
    for column, value in zip(chosen, values, strict=True):
        conversation = turns(value)
        if conversation:
            messages += conversation
        elif text := _text(value, column.name):
            messages.append({"role": column.role, "content": text})
    return {"messages": messages, **kept}


def turns(value: object) -> list[object]:
    """The turns of a conversation given as a list of messages, or as JSON in a string; [] where the
    value is something else.  Turns of ShareGPT's form get the keys `role` and `content`.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return []
    if not isinstance(value, (list, tuple)) or not value:
        return []
    if not all(isinstance(turn, Mapping) and {"role", "from"} & turn.keys() for turn in value):
        return []
    return [_with_role(turn) for turn in value]


def suggestion(record: Mapping[str, object]) -> str:
    """The setting that would read a record of unknown form; "" where no key is likely."""
    variables = record.get("vars")
    inner = [f"vars.{key}" for key in variables] if isinstance(variables, Mapping) else []
    likely = [
        name
        for name in (*record, *inner)
        if isinstance(name, str) and name.rpartition(".")[2] in (*QUESTIONS, "conversations")
    ]
    texts = [*inner, *(key for key in record if isinstance(record[key], str))]
    return next(iter(likely), texts[0] if len(texts) == 1 else "")


def _with_role(turn: Mapping[str, Any]) -> Mapping[str, Any]:
    if "role" in turn:
        return turn
    rest = {key: value for key, value in turn.items() if key not in ("from", "value")}
    said = turn["from"]
    return {"role": SHAREGPT_ROLES.get(str(said), said), "content": turn.get("value"), **rest}


def _value(record: Mapping[str, object], name: str) -> object:
    """What the record has at `name`.  Raises `UnusableRecordError` where there is no such key."""
    if name in record:
        return record[name]
    value: object = record
    for key in name.split("."):
        if not isinstance(value, Mapping) or key not in value:
            keys = [str(key) for key in record]
            near = difflib.get_close_matches(name, keys, n=1)
            raise UnusableRecordError(
                f"no key {name!r}, but {', '.join(map(repr, keys)) or 'nothing at all'}",
                f"did you mean crossdiff_corpus_column = {near[0]}?"
                if near
                else "name a key that every record has in crossdiff_corpus_column",
            )
        value = value[key]
    return value


def _text(value: object, name: str) -> str:
    return "" if value is None else normalised(value, f"{name!r}")
