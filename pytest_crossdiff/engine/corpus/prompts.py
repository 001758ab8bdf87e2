"""The prompts of a corpus: its conversations, cut before the last answer.  Stdlib only."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.engine.corpus.documents import Document, canonical
from pytest_crossdiff.engine.corpus.messages import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pytest_crossdiff.engine.corpus.documents import Corpus

NO_PROMPTS = "the corpus has no prompts: conversations with a turn to answer"
MOST = 100
"""Prompts that are answered: enough to tell a share of replies to 10 % (95 %)."""


class Prompt(NamedTuple):
    """What a model answers.

    document: what a person calls the record.  group: documents with the same group are one
    observation.  tools: those that the conversation offers, as JSON.  slice: of the corpus.
    """

    document: str
    group: str
    messages: tuple[Message, ...]
    tools: str
    slice: str = ""

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
        messages = before_the_last_answer(document.messages)
        if messages:
            prompt = Prompt(document.id, document.group, messages, document.tools, document.part)
            found.setdefault(prompt.key, prompt)
    return [found[key] for key in sorted(found)[:most]]


def with_replies(
    corpus: Corpus, asked: Sequence[Prompt], replies: Iterable[tuple[str, Sequence[str]]]
) -> Corpus:
    """The corpus with each prompt as it was answered: of one group with its record, in a part of
    its own; what is there already is left out.

    replies: who wrote them, and to each prompt in order a text.
    """
    seen = {canonical(of.text, of.messages, of.tools) for of in corpus.documents}
    digest, made = hashlib.sha256(corpus.digest.encode()), []
    for writer, texts in replies:
        for prompt, text in zip(asked, texts, strict=True):
            messages = (*prompt.messages, Message("assistant", text))
            content = canonical(None, messages, prompt.tools)
            if not text.strip() or content in seen:
                continue
            seen.add(content)
            name, part = f"{prompt.document}, answered by the {writer}", f"replies of the {writer}"
            made.append(Document(name, prompt.group, name, None, messages, part, prompt.tools))
            digest.update(hashlib.sha256(prompt.group.encode()).digest() + content)
    documents = (*corpus.documents, *made)
    return replace(corpus, documents=documents, digest=digest.hexdigest())


def digest_of(chosen: list[Prompt]) -> str:
    """Of what is asked, in order."""
    return hashlib.sha256(b"".join(prompt.key for prompt in chosen)).hexdigest()


def before_the_last_answer(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages that a model would answer; () where nobody asks anything."""
    ends = [i for i, message in enumerate(messages) if message.answers]
    if messages and not messages[-1].answers:
        ends.append(len(messages))
    asked = messages[: ends[-1]] if ends else ()
    return asked if any(not message.answers and message.text.strip() for message in asked) else ()
