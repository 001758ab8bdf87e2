"""What a measurement made of conversations, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import plural

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.results.result import Result


def conversation_notes(result: Result) -> tuple[str, ...]:
    """One sentence for each thing that a reader has to know; () without conversations."""
    return tuple(_notes(result))


def _notes(result: Result) -> Iterator[str]:
    facts = result.corpus.conversations
    if facts is None:
        return
    if facts.context_pairs:
        yield (
            f"{plural(facts.context_pairs, 'token pair')} of system and user turns not compared: "
            "what a model predicts there is never said"
        )
    if facts.repeated_pairs:
        yield (
            f"{plural(facts.repeated_pairs, 'token pair')} not compared again: several "
            "conversations begin with the same text, which counts once"
        )
    if facts.without_answer:
        yield (
            f"{facts.without_answer} of {plural(facts.conversations, 'conversation')} without an "
            "assistant's turn: all of their turns are compared"
        )
    for side in facts.dated:
        yield f"the {side}'s chat template writes today's date: read as on 26 July 2024"
    for side, characters in zip(SIDES, facts.unplaced, strict=True):
        if characters:
            yield (
                f"{plural(characters, 'character')} of reasoning and tool calls not compared: the "
                f"{side}'s chat template leaves them out or rewrites them"
            )
