"""Records of other tools, recognised by their keys, in the plain form of a corpus.

Of each the text that a model reads in that tool, and the reference answer where the record has
one.  What another model answered in an evaluation is left out.  The formats are those of OpenAI's
API (chat, batch input, preference fine-tuning), lm-eval (`--log_samples`), promptfoo
(`promptfoo eval --output`), deepeval (`EvaluationDataset.save_as`) and ShareGPT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pytest_crossdiff.engine.corpus.columns import (
    SIDE_KEYS,
    Column,
    from_columns,
    suggestion,
    turns,
)
from pytest_crossdiff.engine.corpus.messages import UnusableRecordError
from pytest_crossdiff.engine.corpus.promptfoo import prompt_record

Plain = Mapping[str, object]
RECORD_FORM = 'write {"text": "..."} or {"messages": [{"role": "user", "content": "..."}, ...]}'


class Format(NamedTuple):
    """A form of records: which it recognises, by their keys, and how it reads them."""

    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    plain: Callable[[Mapping[str, Any]], Plain]


def plain_record(record: Mapping[str, object], chosen: tuple[Column, ...] = ()) -> Plain:
    """The record with `text` or `messages`, and with `id`, `document`, `slice` and `tools` where it
    has them.  chosen: the columns to read in any record.

    Raises `UnusableRecordError` for a form that is not known, or has no prompt in it.
    """
    if chosen:
        return from_columns(record, chosen)
    if {"text", "messages"} & record.keys():
        return _with_functions({**record, **_parsed(record)})
    for known in FORMATS:
        if known.recognises(record):
            return known.plain(record)
    keys = ", ".join(map(repr, record)) or "nothing at all"
    column = suggestion(record)
    hint = f"set crossdiff_corpus_column = {column}, or " if column else ""
    raise UnusableRecordError(f"neither 'text' nor 'messages', but {keys}", hint + RECORD_FORM)


def readable(keys: set[str]) -> bool:
    """Whether records with these keys, such as the rows of a table, have a known form."""
    return bool({"text", "messages"} & keys) or any(
        known.recognises(dict.fromkeys(keys, "")) for known in FORMATS
    )


def _parsed(record: Mapping[str, Any]) -> dict[str, object]:
    """The messages, where a table holds them as JSON or their keys are those of ShareGPT."""
    conversation = turns(record.get("messages"))
    return {"messages": conversation} if conversation else {}


# OpenAI


def _with_functions(record: Mapping[str, Any]) -> Plain:
    """With the functions of the API's first form as tools."""
    functions = record.get("functions")
    if not functions or record.get("tools") or not isinstance(functions, list):
        return record
    return {**record, "tools": [{"type": "function", "function": one} for one in functions]}


def _batch(record: Mapping[str, Any]) -> Plain:
    body = record["body"]
    if not isinstance(body, Mapping):
        raise UnusableRecordError("a 'body' that is no object", _BATCH_FORM)
    named = {"id": record.get("custom_id")}
    if body.get("messages") is not None:
        return {**_of(_with_functions(body), "messages", "tools"), **named}
    given = body.get("input", body.get("prompt"))  # responses and embeddings; completions
    if isinstance(given, str) and str(record.get("url", "")).endswith("/responses"):
        given = [{"role": "user", "content": given}]
    conversation = [turn for turn in turns(given) if isinstance(turn, Mapping)]
    if conversation:
        first = body.get("instructions")
        head = [{"role": "system", "content": first}] if first else []
        return {"messages": [*head, *conversation], "tools": body.get("tools"), **named}
    if isinstance(given, str):
        return {"text": given, **named}
    raise UnusableRecordError("a 'body' without messages, input or prompt", _BATCH_FORM)


_BATCH_FORM = 'write {"custom_id": "...", "body": {"messages": [...]}} as for the batch API'


def _batch_output(_: Mapping[str, Any]) -> Plain:
    raise UnusableRecordError(
        "the answer of a batch without what was asked",
        "give the input file of the batch: its lines have 'custom_id' and 'body'",
    )


def _preference(record: Mapping[str, Any]) -> Plain:
    given, answer = record["input"], record["preferred_output"]
    asked = given.get("messages")
    if not isinstance(asked, list):
        raise UnusableRecordError("an 'input' without a list of messages", _PREFERENCE_FORM)
    return {
        "messages": [*asked, *(turns(answer) or [])],
        "tools": given.get("tools"),
        **_of(record, *SIDE_KEYS[:3]),
    }


_PREFERENCE_FORM = 'write {"input": {"messages": [...]}, "preferred_output": [...]}'


# lm-eval


def _lm_eval(record: Mapping[str, Any]) -> Plain:
    """The prompt; of a task of likelihoods, the prompt and the right continuation."""
    requests = [_arguments(one) for one in _listed(record["arguments"])]
    if not requests or not requests[0]:
        raise UnusableRecordError("'arguments' without a prompt", "log the samples again")
    named = {"id": record.get("doc_id")}
    prompt = requests[0][0]
    if isinstance(prompt, (list, tuple)) and len(prompt) == 1:
        prompt = prompt[0]  # of a chat API: messages as JSON
    if conversation := turns(prompt):
        return {"messages": conversation, **named}
    continuations = [one[1] for one in requests if len(one) > 1 and isinstance(one[1], str)]
    target = str(record.get("target", ""))
    right = int(target) if target.isdecimal() and int(target) < len(continuations) else 0
    if len(continuations) == len(requests) and (len(requests) == 1 or target.isdecimal()):
        prompt = str(requests[right][0]) + continuations[right]
    return {"text": prompt, **named}


def _listed(value: object) -> list[Any]:
    """The items of a list, or of a mapping whose keys number them: `gen_args_0`, `arg_0`."""
    if isinstance(value, Mapping):
        return list(value.values())
    return list(value) if isinstance(value, (list, tuple)) else []


def _arguments(request: object) -> list[Any]:
    return _listed(request) if isinstance(request, (Mapping, list, tuple)) else [request]


# promptfoo


def _promptfoo_result(record: Mapping[str, Any]) -> Plain:
    return prompt_record(record["prompt"]["raw"])


def _promptfoo_test(record: Mapping[str, Any]) -> Plain:
    column = suggestion(record)
    raise UnusableRecordError(
        "variables of promptfoo, but not the prompt that they are put into",
        "give promptfoo's configuration (promptfooconfig.yaml) or its results (promptfoo eval "
        "--output results.json)" + (f", or set crossdiff_corpus_column = {column}" * bool(column)),
    )


# deepeval


def _deepeval(record: Mapping[str, Any]) -> Plain:
    answer = record.get("expected_output")
    messages = [
        {"role": role, "content": text}
        for role, text in (("user", record["input"]), ("assistant", answer))
        if text
    ]
    return {"messages": messages, "id": record.get("name"), **_of(record, "document", "slice")}


def _deepeval_turns(record: Mapping[str, Any]) -> Plain:
    conversation = turns(record["turns"])
    if record["turns"] and not conversation:
        raise UnusableRecordError("'turns' that is no list of turns", RECORD_FORM)
    return {"messages": conversation, "id": record.get("name"), **_of(record, "document", "slice")}


# Inputs of models that write a target


def _pair(record: Mapping[str, Any]) -> Plain:
    return {
        "messages": [
            {"role": "user", "content": record["input"]},
            {"role": "assistant", "content": record["target"]},
        ],
        **_of(record, *SIDE_KEYS),
    }


# ShareGPT


def _sharegpt(record: Mapping[str, Any]) -> Plain:
    head = [{"role": "system", "content": record["system"]}] if record.get("system") else []
    return {"messages": [*head, *turns(record["conversations"])], **_of(record, *SIDE_KEYS)}


def _of(record: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: record[key] for key in keys if record.get(key) is not None}


_TESTED = {"expected_output", "actual_output", "retrieval_context"}

FORMATS = (
    Format("batch", lambda r: "body" in r and bool({"custom_id", "url"} & r.keys()), _batch),
    Format("batch output", lambda r: {"custom_id", "response"} <= r.keys(), _batch_output),
    Format(
        "preferences",
        lambda r: "preferred_output" in r and isinstance(r.get("input"), Mapping),
        _preference,
    ),
    Format("lm-eval", lambda r: {"doc_id", "arguments"} <= r.keys(), _lm_eval),
    Format(
        "promptfoo results",
        lambda r: isinstance(r.get("prompt"), Mapping) and isinstance(r["prompt"].get("raw"), str),
        _promptfoo_result,
    ),
    Format("promptfoo tests", lambda r: isinstance(r.get("vars"), Mapping), _promptfoo_test),
    Format("deepeval", lambda r: "input" in r and bool(_TESTED & r.keys()), _deepeval),
    Format("deepeval turns", lambda r: {"scenario", "turns"} <= r.keys(), _deepeval_turns),
    Format(
        "input and target",
        lambda r: all(isinstance(r.get(key), str) for key in ("input", "target")),
        _pair,
    ),
    Format("ShareGPT", lambda r: bool(turns(r.get("conversations"))), _sharegpt),
)
