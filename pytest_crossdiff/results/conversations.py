"""What a measurement made of the conversations among its texts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ConversationFacts:
    """The conversations that were read, and their token pairs.

    without_answer: conversations that no assistant's turn is in, so that all turns are compared.
    answer_starts: pairs at the position that predicts an answer's first token.  context_pairs: of
    system and user turns, not compared in the output.  repeated_pairs: in a beginning that an
    earlier conversation has, too; not compared again.  dated: the models whose chat template writes
    today's date; it was given 26 July 2024.  unplaced: of the baseline and the candidate,
    characters of reasoning and tool calls that the chat template leaves out or rewrites, so that
    they are not compared.
    """

    conversations: int
    without_answer: int
    answer_starts: int
    context_pairs: int
    repeated_pairs: int
    dated: tuple[str, ...]
    unplaced: tuple[int, int]
