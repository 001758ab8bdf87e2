"""What chat templates add to the texts of conversations, in tokens.

A template writes roles and separators around each message, and several write a system message of
their own.  On short conversations that can double what a model reads.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.activations.conversations import Place
from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.corpus.messages import SEPARATOR
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

    from pytest_crossdiff.engine.activations.rendering import Encoded
    from pytest_crossdiff.engine.corpus.messages import Message
    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.sides import Side

SAMPLED_CONVERSATIONS = 50
"""Conversations that are tokenised for an estimate."""


class TemplateTokens(NamedTuple):
    """One model's tokens of some conversations.

    tokens: all that it reads.  template: of these, what the chat template writes, and other special
    tokens.  preface: of these again, what stands before the first message where that is not a
    system message.  system: tokens of the records' own system messages.
    """

    conversations: int
    tokens: int
    template: int
    preface: int
    system: int

    @property
    def words(self) -> str:
        """E.g. `adds 31 tokens to a conversation on average (46 % of what is read)`."""
        mean, share = self.template / self.conversations, self.template / self.tokens
        said = f"adds {mean:.0f} tokens to a conversation on average ({share:.0%} of what is read"
        if self.preface:
            said += f"; {self.preface / self.conversations:.0f} of them before the first message"
        said += ")"
        if self.system:
            said += f"; the records' system messages are another {self.system / self.tokens:.0%}"
        return said.replace("%", " %")


def count_template_tokens(read: Iterable[tuple[Piece, Encoded]]) -> TemplateTokens | None:
    """The tokens of the conversations among the pieces; None without any."""
    rows = [_count(piece.messages, encoded) for piece, encoded in read if piece.text is None]
    if not rows:
        return None
    return TemplateTokens(len(rows), *(int(sum(column)) for column in zip(*rows, strict=True)))


def sampled_template_tokens(
    pieces: Sequence[Piece], tokenizer: PreTrainedTokenizerBase, limit: int
) -> TemplateTokens | None:
    """The same of at most `SAMPLED_CONVERSATIONS` of the pieces, in the tokenizer's own template.

    limit: tokens that the model reads at most.  Raises as `rendering.tokenize` does.
    """
    chosen = [piece for piece in pieces if piece.text is None]
    chosen = chosen[:: max(1, len(chosen) // SAMPLED_CONVERSATIONS)][:SAMPLED_CONVERSATIONS]
    return count_template_tokens(
        (piece, tokenize(piece, tokenizer, chat_template="own", limit=limit)) for piece in chosen
    )


def template_notes(counted: Mapping[Side, TemplateTokens]) -> list[str]:
    """A sentence for each model whose template adds something, one where both add the same."""
    found = {side: of.words for side, of in counted.items() if of.template}
    if len(found) == len(SIDES) and len({*found.values()}) == 1:
        return [f"the chat template {next(iter(found.values()))}"]
    return [f"the {side}'s chat template {words}" for side, words in found.items()]


def _count(messages: Sequence[Message], encoded: Encoded) -> tuple[int, int, int, int]:
    """All tokens, the template's, those before the first message, those of system messages."""
    inside = encoded.content & (encoded.place < Place.ANSWER_START)
    first = int(np.argmax(inside)) if inside.any() else len(inside)
    in_system = np.zeros_like(inside)
    lengths = [len(message.text) + len(SEPARATOR) for message in messages]
    for message, end in zip(messages, itertools.accumulate(lengths), strict=True):
        if message.role == "system":
            begin = end - len(message.text) - len(SEPARATOR)
            in_system |= inside & (encoded.starts >= begin) & (encoded.starts < end)
    begins_with_system = bool(messages) and messages[0].role == "system"
    return (
        len(inside),
        int((~inside).sum()),
        0 if begins_with_system else first,
        int(in_system.sum()),
    )
