"""One turn of a conversation as chat APIs log it: its role, its content, and what else it says.

Besides its content an assistant's turn may hold reasoning and tool calls.  They are texts of the
turn like its content: reasoning comes before the content, tool calls come after it.  Stdlib only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

SEPARATOR = "\n"
"""What stands between two texts of a conversation where both models' places are counted."""
ANSWERING = ("assistant", "model")
"""Roles whose turns a model writes."""

REASONING = ("reasoning_content", "thinking", "reasoning")
"""Names of one thing: chat templates and servers differ in them."""
CALLS = ("tool_calls", "function_call")
KEPT = (*REASONING, "tool_plan", *CALLS, "tool_call_id", "name")
"""Keys of a message that chat templates read, besides `role` and `content`."""

SAID = ("role", "content", "refusal", *KEPT)
"""All keys of a message that are read."""

TEXT_PARTS = ("text", "input_text", "output_text", "refusal")
"""Types of the parts of a content that are text, in the forms of OpenAI's API."""
EMPTY: tuple[object, ...] = (None, "", [], {}, ())
Path = tuple[str | int, ...]


class Part(NamedTuple):
    """A text of a message, and the places in the message that hold it.

    number: whether the message holds a number or a truth value there, of which `text` is the JSON.
    """

    text: str
    paths: tuple[Path, ...]
    number: bool = False


class UnusableRecordError(ValueError):
    """What a record has that makes it unusable, and what to do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        self.what, self.remedy = what, remedy
        super().__init__(what)


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    extra: the keys of `KEPT` that the record gives, as a JSON object; "" where there is none.  It
    holds `"content": null` where the record gives no content.
    """

    role: str
    content: str
    extra: str = ""

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The texts of the turn in the order in which they are said: reasoning, the content, even
        if it is empty, and the names and arguments of calls.
        """
        given = self._extra()
        before = [Part(text, paths) for text, paths in _reasoning(given)]
        plan = given.get("tool_plan")
        before += [Part(plan, (("tool_plan",),))] if isinstance(plan, str) else []
        after = [_argument(_at(given, path), path) for path in _call_paths(given)]
        return (*before, Part(self.content, (("content",),)), *after)

    @property
    def text(self) -> str:
        """All texts of the turn, joined."""
        return SEPARATOR.join(part.text for part in self.parts)

    @property
    def answers(self) -> bool:
        """Whether a model writes this turn."""
        return self.role in ANSWERING

    @property
    def has_calls(self) -> bool:
        return any(True for _ in _call_bodies(self._extra()))

    def turn(
        self, texts: Mapping[Path, str] | None = None, *, arguments_as_json: bool = False
    ) -> dict[str, Any]:
        """The message as chat templates take it, with `texts` in the places that they name.

        arguments_as_json: those of calls as JSON in a string, not as objects.
        """
        turn = {"role": self.role, "content": self.content, **self._extra()}
        for path, text in (texts or {}).items():
            _at(turn, path[:-1])[path[-1]] = text
        if arguments_as_json:
            for body in (_at(turn, path) for path in _call_bodies(turn)):
                if not isinstance(body.get("arguments"), str):
                    body["arguments"] = json.dumps(body.get("arguments", {}), ensure_ascii=False)
        return turn

    def _extra(self) -> dict[str, Any]:
        return dict(json.loads(self.extra)) if self.extra else {}


def read_message(turn: object, number: int, form: str) -> Message:
    """Message `number` of a record.  form: how to write records, for errors.

    Raises `UnusableRecordError`.
    """
    if not isinstance(turn, Mapping) or not isinstance(role := turn.get("role"), str) or not role:
        raise UnusableRecordError(f"message {number} without a role", form)
    extra = {key: turn[key] for key in KEPT if turn.get(key) not in EMPTY}
    content = turn.get("content")
    if content is None and isinstance(turn.get("refusal"), str):
        content = turn["refusal"]  # of chat APIs: what the model says instead of an answer
    if content is None:
        if not {*REASONING, "tool_plan", *CALLS} & extra.keys():
            raise UnusableRecordError(
                f"message {number} without content",
                "write a content, reasoning_content or tool_calls, or leave the turn out",
            )
        extra = {"content": None, **extra}
    elif isinstance(content, (list, tuple)):
        content = "".join(_content_part(part, number) for part in content)
    text = "" if content is None else normalised(content, f"the content of message {number}")
    return Message(role, text, canonical_json(_with_arguments(extra), f"message {number}"))


def unread_keys(turn: object) -> list[str]:
    """The keys of a message that say something and are not read: no chat template is given them."""
    if not isinstance(turn, Mapping):
        return []
    return [str(key) for key in turn if key not in SAID and turn[key] not in EMPTY]


def canonical_json(value: object, where: str) -> str:
    """`value` as JSON, "" where it is empty.  Raises `UnusableRecordError`."""
    if not value:
        return ""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UnusableRecordError(
            f"{where} with tool calls or tools that are not JSON: {error}",
            "write them as JSON: objects, lists, strings, numbers, true, false, null",
        ) from None


def read_tools(value: object) -> str:
    """The tools that a conversation offers as JSON, "" for none; data sets give them as a list or
    as JSON in a string.  Raises `UnusableRecordError`.
    """
    if isinstance(value, str):
        try:
            value = json.loads(value or "[]")
        except (ValueError, RecursionError):
            value = None
        if value is None:
            raise UnusableRecordError("'tools' that is a text, but no JSON", _TOOLS_FORM)
    tools = _plain(value or [])
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise UnusableRecordError("'tools' that is no list of objects", _TOOLS_FORM)
    return canonical_json(tools, "a conversation")


_TOOLS_FORM = 'write "tools": [{"type": "function", "function": {"name": "...", ...}}, ...]'


def normalised(value: object, what: str) -> str:
    """A text with LF line ends.  Raises `UnusableRecordError` for anything but a string."""
    if not isinstance(value, str):
        kind = type(value).__name__
        raise UnusableRecordError(f"{what} that is a {kind}, not text", "write it as a string")
    return value.replace("\r\n", "\n").replace("\r", "\n")


def _content_part(part: object, number: int) -> str:
    """The text of one element of a content list, as multimodal chats have it."""
    kind = f"a {type(part).__name__}"
    if isinstance(part, Mapping):
        kind, text = f"the type {part.get('type')!r}", part.get("text")
        if part.get("type") == "refusal":
            text = part.get("refusal")
        if part.get("type") in TEXT_PARTS and isinstance(text, str):
            return text
    raise UnusableRecordError(
        f"message {number} with a part of {kind}", "keep text parts only; nothing else is compared"
    )


def _with_arguments(extra: dict[str, Any]) -> dict[str, Any]:
    """`extra` with the arguments of calls as objects: chat APIs log them as JSON in a string, chat
    templates take objects, and servers parse them in between.
    """
    extra = {key: _plain(value) for key, value in extra.items()}
    for body in (_at(extra, path) for path in _call_bodies(extra)):
        try:
            parsed = json.loads(body.get("arguments", ""))
        except (TypeError, ValueError, RecursionError):
            continue
        if isinstance(parsed, dict):
            body["arguments"] = parsed
    return extra


def _plain(value: object) -> Any:  # noqa: ANN401  whatever JSON holds
    """A copy in dicts and lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _reasoning(given: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Path, ...]]]:
    """The reasoning, once, with all the keys that repeat it."""
    texts = {key: given[key] for key in REASONING if isinstance(given.get(key), str)}
    for text in list(texts.values())[:1]:
        yield text, tuple((key,) for key in texts if texts[key] == text)


def _call_bodies(given: Mapping[str, Any]) -> Iterator[Path]:
    """Where the name and the arguments of each call stand."""
    calls = given.get("tool_calls")
    bodies: list[tuple[Path, Any]] = [(("function_call",), given.get("function_call"))]
    if isinstance(calls, list):
        bodies += [(("tool_calls", i), call) for i, call in enumerate(calls)]
    for path, body in bodies:
        if isinstance(body, dict):
            inner = isinstance(body.get("function"), dict)
            yield (*path, "function") if inner else path


def _call_paths(given: Mapping[str, Any]) -> Iterator[Path]:
    """Where the texts of the calls stand: names, and every value in the arguments but null."""
    for path in _call_bodies(given):
        body = _at(given, path)
        for key in ("name", "arguments"):
            yield from _values(body.get(key), (*path, key))


def _argument(value: object, path: Path) -> Part:
    if isinstance(value, str):
        return Part(value, (path,))
    return Part(json.dumps(value), (path,), number=True)


def _values(value: object, path: Path) -> Iterator[Path]:
    if isinstance(value, (str, int, float)):
        yield path
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _values(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _values(item, (*path, i))


def _at(value: Any, path: Sequence[str | int]) -> Any:  # noqa: ANN401  whatever JSON holds
    for key in path:
        value = value[key]
    return value
