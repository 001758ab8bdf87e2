"""From a piece of the corpus to one model's tokens, placed in the text that both models read.

The places are characters of the piece's text; of a conversation, characters of its messages'
contents joined by line breaks, whatever each model's chat template puts around them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.activations.alignment import Tokens
from pytest_crossdiff.engine.corpus.cutting import is_boundary
from pytest_crossdiff.errors import CorpusError, ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from pytest_crossdiff.engine.corpus.documents import Message
    from pytest_crossdiff.engine.corpus.sampling import Piece

MESSAGE_SEPARATOR = "\n"
"""What stands between the messages' contents in the text that both models share."""

_PLAIN = "set crossdiff_chat_template = plain to compare both models on the bare contents"


@dataclass(frozen=True)
class Encoded:
    """One model's input for a piece, arrays of one length.

    starts, ends: the characters of each token in the piece's text.  content: False for special
    tokens, for the template's, and for those that lie partly in the template; they have no place
    (0, 0).  special: how many those are.  truncated_characters: beyond the model's longest input.
    """

    input_ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    content: NDArray[np.bool_]
    truncated_characters: int
    special: int

    @property
    def tokens(self) -> Tokens:
        """The same without what only the forward pass needs."""
        return Tokens(self.input_ids, self.starts, self.ends, self.content)


class Span(NamedTuple):
    """`length` characters at `rendered` in a model's input that are at `shared` in the text."""

    rendered: int
    shared: int
    length: int


def tokenize(
    piece: Piece, tokenizer: PreTrainedTokenizerBase, *, chat_template: str, limit: int
) -> Encoded:
    """The input of the tokenizer's model for `piece`, at most `limit` tokens long.

    chat_template: "own" puts messages into the tokenizer's template, "plain" joins their contents.
    Raises `ModelError` when the tokenizer can't say where its tokens stand or has no template,
    `CorpusError` when the template doesn't take the messages as they are.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"no fast tokenizer: {_name(tokenizer)} has a {type(tokenizer).__name__}, which can't "
            "say which characters a token stands for",
            remedy="save the model with a tokenizer.json beside it",
        )
    if piece.text is None and chat_template == "own":
        rendered, spans = render(piece.messages, tokenizer)
        return _encode(tokenizer, rendered, spans, limit, add_special_tokens=False)
    text = shared_text(piece)
    return _encode(tokenizer, text, [Span(0, 0, len(text))], limit, add_special_tokens=True)


def shared_text(piece: Piece) -> str:
    """The text of a piece that places refer to, whichever model reads it."""
    return (
        piece.text
        if piece.text is not None
        else MESSAGE_SEPARATOR.join(m.content for m in piece.messages)
    )


def render(
    messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase
) -> tuple[str, list[Span]]:
    """`messages` in the tokenizer's chat template, and where their contents stand in it.

    The template is rendered a second time with marks for contents.  What stands between the marks
    tells where each content begins and ends, even if it is a word that the template uses, too.
    """
    contents = [message.content for message in messages]
    marks = [f"\ue000{i}\ue001" if c.strip() else c for i, c in enumerate(contents)]
    rendered, frame = (_apply(messages, texts, tokenizer) for texts in (contents, marks))
    spans: list[Span] = []
    filled = [i for i, content in enumerate(contents) if content.strip()]
    literals = []
    for i in filled:
        literal, mark, frame = frame.partition(marks[i])
        if not mark:
            raise _lost(i, messages, tokenizer)
        literals.append(literal)
    literals.append(frame)
    if not rendered.startswith(literals[0]):
        raise _lost(filled[0], messages, tokenizer)
    at = len(literals[0])
    for i, literal in zip(filled, literals[1:], strict=True):
        for lead, form in _forms(contents[i]):
            end = at + len(form) + len(literal)
            if rendered.startswith(form + literal, at) and (i < filled[-1] or end == len(rendered)):
                shared = (
                    sum(len(content) + len(MESSAGE_SEPARATOR) for content in contents[:i]) + lead
                )
                spans.append(Span(at, shared, len(form)))
                at = end
                break
        else:
            raise _lost(i, messages, tokenizer)
    return rendered, spans


def _forms(content: str) -> Iterator[tuple[int, str]]:
    """What templates make of a content, itself or trimmed, and where in it that begins."""
    for left in (content, content.lstrip("\n"), content.lstrip()):
        for form in (left, left.rstrip("\n"), left.rstrip()):
            yield len(content) - len(left), form


def _apply(
    messages: Sequence[Message], contents: Sequence[str], tokenizer: PreTrainedTokenizerBase
) -> str:
    from jinja2 import TemplateError  # as late as transformers does

    if not tokenizer.chat_template:
        raise ModelError(
            f"{_name(tokenizer)} has no chat template, and the corpus has messages", remedy=_PLAIN
        )
    turns = [{"role": m.role, "content": c} for m, c in zip(messages, contents, strict=True)]
    try:
        rendered = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False)
    except (TemplateError, ValueError, TypeError, LookupError, AttributeError) as error:
        roles = ", ".join(message.role for message in messages)
        raise CorpusError(
            f"the chat template of {_name(tokenizer)} refuses a conversation of {roles}: {error}",
            remedy=_PLAIN,
        ) from error
    assert isinstance(rendered, str)
    return rendered


def _lost(
    number: int, messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase
) -> CorpusError:
    message = messages[number]
    return CorpusError(
        f"the chat template of {_name(tokenizer)} drops, moves or rewrites message {number + 1} "
        f"({message.role}: {message.content[:40]!r})",
        remedy=_PLAIN,
    )


def _name(tokenizer: PreTrainedTokenizerBase) -> str:
    return getattr(tokenizer, "name_or_path", "") or "the model"


def _encode(
    tokenizer: PreTrainedTokenizerBase,
    text: str,
    spans: Sequence[Span],
    limit: int,
    *,
    add_special_tokens: bool,
) -> Encoded:
    """`text` in tokens, placed by `spans`."""
    read = tokenizer(
        text,
        add_special_tokens=add_special_tokens,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
        verbose=False,  # a text that is too long is cut below
    )
    ids = np.array(read["input_ids"], dtype=np.int32)
    starts, ends = np.array(read["offset_mapping"], dtype=np.int32).reshape(-1, 2).T
    added = np.array(read["special_tokens_mask"], dtype=bool)
    if not text.isascii():
        ends = _with_marks(text, starts, ends)
    content = ~added & ~np.isin(ids, _special_ids(tokenizer)) & (ends > starts)
    begins = np.array([span.rendered for span in spans], dtype=np.int32)
    which = np.searchsorted(begins, starts, side="right") - 1
    lengths, shifts = (
        np.array([0, *column], dtype=np.int32)[which + 1]  # 0: before the first span
        for column in ((s.length for s in spans), (s.shared - s.rendered for s in spans))
    )
    content &= (which >= 0) & (ends <= np.append(begins, 0)[which] + lengths)
    kept = _within(limit, starts, ends, added)
    placed_starts, placed_ends = (np.where(content, x + shifts, 0) for x in (starts, ends))
    return Encoded(
        ids[kept],
        placed_starts[kept],
        placed_ends[kept],
        content[kept],
        int(placed_ends.max(initial=0) - placed_ends[kept].max(initial=0)),
        int((~content[kept]).sum()),
    )


def _with_marks(text: str, starts: NDArray[np.int32], ends: NDArray[np.int32]) -> NDArray[np.int32]:
    """`ends`, each past the marks after it that no token covers.

    A normaliser that composes a letter and its accent, or drops the accent, places the result on
    the letter alone; yet the token has read both.
    """
    steps = np.zeros(len(text) + 1, dtype=np.int64)
    np.add.at(steps, starts, 1)
    np.add.at(steps, ends, -1)
    uncovered = np.cumsum(steps)[: len(text)] == 0
    extended_ends = np.arange(len(text) + 1, dtype=np.int32)
    for i in np.flatnonzero(uncovered)[::-1]:
        if not is_boundary(text, int(i)):
            extended_ends[i] = extended_ends[i + 1]
    return np.where(ends > starts, extended_ends[ends], ends)


def _special_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Tokens that mean no text: all special ones but that for unknown words, if it is only that."""
    others = ("bos", "eos", "sep", "pad", "cls", "mask")
    named = {getattr(tokenizer, f"{name}_token_id", None) for name in others}
    return [i for i in tokenizer.all_special_ids if i != tokenizer.unk_token_id or i in named]


def _within(
    limit: int, starts: NDArray[np.int32], ends: NDArray[np.int32], added: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Positions that stay: the first tokens and the special ones that close the text.

    A character whose last byte doesn't fit goes as a whole.
    """
    if len(starts) <= limit:
        return np.arange(len(starts))
    closing = int(np.argmin(added[::-1]))
    fits = max(0, limit - closing)
    while fits and not added[fits - 1] and ends[fits - 1] > starts[fits]:
        fits -= 1
    return np.append(np.arange(fits), np.arange(len(starts) - closing, len(starts)))[:limit]
