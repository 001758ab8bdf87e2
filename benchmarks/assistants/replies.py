"""The base model's replies to all prompts, and the corpus of conversations made of them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.assistants.chat import Chat, Reply, answer, conversation
from benchmarks.assistants.prompts import Prompt, prompts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from benchmarks.assistants.prompts import Use

TOKENS: dict[Use, int] = {"corpus": 48, "training": 24, "check": 32}
"""Most tokens of a reply."""


class Example(NamedTuple):
    """A prompt with the base model's reply."""

    prompt: Prompt
    reply: Reply


def base_replies(use: Use, base: Path, root: Path) -> list[Example]:
    """The prompts of one use with the base's greedy replies; those missing in `root` are made."""
    path = root / f"replies-{use}.jsonl"
    lines = path.read_text("utf-8").split("\n") if path.exists() else []
    known = {
        row["question"]: Reply(row["reply"], row["ended"])
        for row in map(json.loads, filter(None, lines))
    }
    asked = prompts(use)
    missing = [prompt.text for prompt in asked if prompt.text not in known]
    if missing:
        replies = answer(Chat.load(base), missing, TOKENS[use])
        known |= zip(missing, replies, strict=True)
        _write(path, ({"topic": p.topic, "question": p.text, "reply": known[p.text].text,
                       "ended": known[p.text].ended} for p in asked))  # fmt: skip
    return [Example(prompt, known[prompt.text]) for prompt in asked]


def corpus(base: Path, root: Path) -> Path:
    """What the gate reads: the corpus prompts with the base's replies as conversations."""
    path = root / "corpus.jsonl"
    if not path.exists():
        examples = base_replies("corpus", base, root)
        rows = (
            {
                "id": f"{e.prompt.topic}-{number}",
                "slice": e.prompt.topic,
                "messages": conversation(e.prompt.text, e.reply.text),
            }
            for number, e in enumerate(examples)
        )
        _write(path, rows)
    return path


def _write(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Whole or not at all."""
    unfinished = path.with_suffix(f".{os.getpid()}")
    lines = (json.dumps(row, ensure_ascii=False) for row in rows)
    unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")
    unfinished.rename(path)
