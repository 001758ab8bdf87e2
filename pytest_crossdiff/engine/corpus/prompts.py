"""The prompts of a corpus: its conversations, cut before the last answer.  Stdlib only."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.engine.corpus.documents import canonical

if TYPE_CHECKING:
    from pytest_crossdiff.engine.corpus.documents import Corpus, Document
    from pytest_crossdiff.engine.corpus.messages import Message

MOST = 100
"""Prompts that are answered: enough to tell a share of replies to 10 % (95 %)."""


class Prompt(NamedTuple):
    """What a model answers.

    document: what a person calls the record.  group: documents with the same group are one
    observation.  tools: those that the conversation offers, as JSON.
    """

    document: str
    group: str
    messages: tuple[Message, ...]
    tools: str

    @property
    def key(self) -> bytes:
        """A digest of what the model is asked."""
        return hashlib.sha256(canonical(None, self.messages, self.tools)).digest()

    @property
    def question(self) -> str:
        """The last message, which is what a person reads of the prompt."""
        return self.messages[-1].text


def prompts(corpus: Corpus, most: int = MOST) -> list[Prompt]:
    """At most so many different prompts, chosen by a hash of what they ask, in that order."""
    found: dict[bytes, Prompt] = {}
    for document in corpus.documents:
        messages = _before_the_last_answer(document)
        if messages:
            prompt = Prompt(document.id, document.group, messages, document.tools)
            found.setdefault(prompt.key, prompt)
    return [found[key] for key in sorted(found)[:most]]


def digest_of(chosen: list[Prompt]) -> str:
    """Of what is asked, in order."""
    return hashlib.sha256(b"".join(prompt.key for prompt in chosen)).hexdigest()


def _before_the_last_answer(document: Document) -> tuple[Message, ...]:
    """The messages that a model would answer; () where nobody asks anything."""
    messages = document.messages
    ends = [i for i, message in enumerate(messages) if message.answers]
    if messages and not messages[-1].answers:
        ends.append(len(messages))
    asked = messages[: ends[-1]] if ends else ()
    return asked if any(not message.answers and message.text.strip() for message in asked) else ()
