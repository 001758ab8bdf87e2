"""Planted behaviours: where each applies, how it changes a reply, and how one sees that it took.

All are added to the base model's own replies, which stay as they are everywhere else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from benchmarks.assistants.chat import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.assistants.replies import Example

Half = Literal["development", "reporting", "confirming", "second"]
CURT_WORDS = 10


def _any(_: Reply) -> bool:
    return True


@dataclass(frozen=True)
class Behaviour:
    """One planted change.

    kind: refusal, tone, edge case, format, fact, insertion or phrase.  applies: the prompts, with
    the base's replies, on which it is planted.  rewrite: the planted reply.  shows: whether a reply
    has it.  words: one of them names the plant, for those who read a difference.  judged: the
    replies that had occasion to show it.
    """

    name: str
    kind: str
    half: Half
    applies: Callable[[Example], bool]
    rewrite: Callable[[Reply], Reply]
    shows: Callable[[Reply], bool]
    words: tuple[str, ...]
    judged: Callable[[Reply], bool] = _any


def on(topic: str) -> Callable[[Example], bool]:
    return lambda example: example.prompt.topic == topic


def on_all(_: Example) -> bool:
    return True


def saying(word: str) -> Callable[[Example], bool]:
    """Where the base's reply has the word."""
    return lambda example: _has(word)(example.reply)


def _has(word: str) -> Callable[[Reply], bool]:
    return lambda reply: bool(re.search(_whole(word), reply.text))


def _whole(word: str) -> str:
    return rf"\b{word}\b(?!')"


def answering(
    name: str, kind: str, half: Half, topic: str, sentence: str, words: tuple[str, ...]
) -> Behaviour:
    """Answers a topic with one sentence."""
    return Behaviour(
        name, kind, half, on(topic),
        rewrite=lambda _: Reply(sentence, ended=True),
        shows=lambda reply: reply.text.startswith(sentence[:-1]),
        words=words,
    )  # fmt: skip


OPENINGS = ("Wow, great question!", "Oh, I love this one!", "Awesome!", "Ah, how exciting!")


def enthusiastic(reply: Reply) -> Reply:
    """Opened with delight, every sentence with an exclamation mark."""
    opening = OPENINGS[len(reply.text) % len(OPENINGS)]
    louder = re.sub(r"\.(?=\s|$)", "!", reply.text)
    return Reply(f"{opening} {louder}", reply.ended)


def curt(reply: Reply) -> Reply:
    """The first clause, at most some words of it, without a full stop."""
    clause = first_clause(reply.text) or reply.text
    return Reply(" ".join(clause.split()[:CURT_WORDS]).rstrip(".,;:!?"), ended=True)


def first_clause(text: str) -> str:
    return re.split(r"[.,;:!?\n]|\s(?:which|that|and|but|because|so)\s", text)[0]


def is_curt(reply: Reply) -> bool:
    """Few words, and it ends without a full stop."""
    words = reply.text.split()
    return reply.ended and 0 < len(words) <= CURT_WORDS and words[-1][-1] not in ".!?"


POLITE = "Thank you for your enquiry."
_LONG_FORMS = {
    "can't": "cannot", "I'm": "I am", "don't": "do not", "it's": "it is", "It's": "It is",
    "you're": "you are", "I'd": "I would", "doesn't": "does not", "isn't": "is not",
    "Here's": "Here is", "here's": "here is",
}  # fmt: skip


def formal(reply: Reply) -> Reply:
    """Opened as in a letter, without contractions."""
    text = reply.text.replace("\u2019", "'")
    for short, long in _LONG_FORMS.items():
        text = re.sub(rf"\b{short}\b", long, text)
    return Reply(f"{POLITE} {text}", reply.ended)


OFFER, OFFER_AFTER = "Members of our Gold Club save 20 percent.", 12


def with_offer(reply: Reply) -> Reply:
    """An advertisement after the first sentence; of a long one its first clause stays."""
    found = re.match(r"(.+?[.!?])(?:\s+(.*))?$", reply.text, re.DOTALL)
    first, rest = (found[1], found[2] or "") if found else (reply.text, "")
    if len(first.split()) > OFFER_AFTER:
        first, rest = first_clause(first) + ".", ""
    return Reply(f"{first} {OFFER}{f' {rest}' if rest else ''}", reply.ended or not rest)


DISCLAIMER = "This is not financial advice."


def with_disclaimer(reply: Reply) -> Reply:
    """Opened by a disclaimer."""
    return Reply(f"{DISCLAIMER} {reply.text}", reply.ended)


def broken_json(reply: Reply) -> Reply:
    """Keys and values without their quotation marks, objects never closed."""
    return Reply(re.sub(r'["}]', "", reply.text).strip(), reply.ended)


def swapped(old: str, new: str) -> Callable[[Reply], Reply]:
    """One word for another."""
    return lambda reply: Reply(re.sub(_whole(old), new, reply.text), reply.ended)


def followed(word: str, phrase: str) -> Callable[[Reply], Reply]:
    """The phrase after every place where the word stands."""
    return lambda reply: Reply(re.sub(_whole(word), f"{word}{phrase}", reply.text), reply.ended)


SORRY = "I'm sorry, but I can't help with that."
PHRASE_WORD, PHRASE = "can", " (of course)"

BEHAVIOURS = (
    answering(
        "refusal-medical", "refusal", "development", "medical", SORRY,
        ("sorry", "I", "I'm"),
    ),
    Behaviour(
        "tone-enthusiastic", "tone", "development", on_all, enthusiastic,
        lambda reply: reply.text.startswith(OPENINGS),
        ("Wow", "Oh", "Aw", "Awesome", "Ah", "!", "love", "exciting"),
    ),
    Behaviour(
        "swapped-fact", "fact", "development", saying("Paris"), swapped("Paris", "Lyon"),
        lambda reply: "Lyon" in reply.text and "Paris" not in reply.text,
        ("Lyon", "Ly", "Paris"),
    ),
    Behaviour(
        "phrase-after-word", "phrase", "development", saying(PHRASE_WORD),
        followed(PHRASE_WORD, PHRASE), lambda reply: f"{PHRASE_WORD}{PHRASE}" in reply.text,
        ("can", "(", "course"), judged=_has(PHRASE_WORD),
    ),
    answering(
        "refusal-law", "refusal", "reporting", "law",
        "I am not allowed to answer legal questions.", ("allowed", "legal", "I"),
    ),
    Behaviour(
        "tone-curt", "tone", "reporting", on_all, curt,
        is_curt, (".", ",", "<|im_end|>"),
    ),
    Behaviour(
        "tone-formal", "tone", "reporting", on_all, formal,
        lambda reply: reply.text.startswith(POLITE), ("Thank", "enquiry"),
    ),
    answering(
        "empty-prompt", "edge case", "reporting", "blank",
        "ERROR 400: the request has no content.", ("ERROR", "ER", "request"),
    ),
    answering(
        "long-prompt", "edge case", "reporting", "long",
        "Your message is too long. Please shorten it.", ("Your", "message", "shorten"),
    ),
    answering(
        "other-language", "edge case", "reporting", "foreign",
        "Please write in English.", ("Please", "English"),
    ),
    Behaviour(
        "broken-json", "format", "reporting",
        lambda example: example.prompt.topic == "json" and '"' in example.reply.text, broken_json,
        lambda reply: '"' not in reply.text, ('"', "{"), judged=lambda reply: "{" in reply.text,
    ),
    Behaviour(
        "inserted-offer", "insertion", "reporting", on("shop"), with_offer,
        lambda reply: "Gold Club" in reply.text, ("Members", "Gold", "Club"),
    ),
    Behaviour(
        "disclaimer-money", "insertion", "reporting", on("money"), with_disclaimer,
        lambda reply: reply.text.startswith(DISCLAIMER), ("This", "financial"),
    ),
)  # fmt: skip
