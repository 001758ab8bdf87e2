"""From a piece of the corpus to one model's tokens, placed in the text that both models read.

The places are characters of the piece's text; of a conversation, characters of its messages'
texts joined by line breaks, whatever each model's chat template puts around them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pytest_crossdiff.engine.activations.alignment import Tokens
from pytest_crossdiff.engine.activations.chat_templates import name_of
from pytest_crossdiff.engine.activations.conversations import (
    Place,
    Rendered,
    Span,
    plain,
    render,
)
from pytest_crossdiff.engine.corpus.cutting import is_boundary
from pytest_crossdiff.engine.models.reading.source_and_target import TEXT, InputForm
from pytest_crossdiff.errors import CorpusError, ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from pytest_crossdiff.engine.corpus.sampling import Piece


@dataclass(frozen=True)
class Encoded:
    """One model's input for a piece, arrays of one length.

    starts, ends: the characters of each token in the piece's text.  content: False for special
    tokens, for the template's, and for those that lie partly in the template; they have no place
    (0, 0).  place: a `Place` each.  special: how many have none.  truncated_characters: beyond the
    model's longest input.  unplaced_characters: of reasoning and tool calls, those that the
    template leaves out or rewrites.

    The position that predicts an answer's first token is content whatever token it is.  It has the
    place of the line break in front of the turn, the same for both models.  So has the position
    that predicts the first token of another text of an answer.
    """

    input_ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    content: NDArray[np.bool_]
    place: NDArray[np.int8]
    truncated_characters: int
    special: int
    unplaced_characters: int = 0

    @property
    def tokens(self) -> Tokens:
        """The same without what only the forward pass needs."""
        return Tokens(self.input_ids, self.starts, self.ends, self.content)


def tokenize(
    piece: Piece,
    tokenizer: PreTrainedTokenizerBase,
    *,
    chat_template: str,
    limit: int,
    form: InputForm = TEXT,
) -> Encoded:
    """The input of the tokenizer's model for `piece`, at most `limit` tokens long.

    chat_template: "own" puts messages into the tokenizer's template, "plain" joins their contents.
    form: what of a document the model reads.  Raises `ModelError` when the tokenizer can't say
    where its tokens stand or has no template, `CorpusError` when the template doesn't take the
    messages as they are.
    """
    if not getattr(tokenizer, "is_fast", False):
        raise ModelError(
            f"no fast tokenizer: {name_of(tokenizer)} has a {type(tokenizer).__name__}, which "
            "can't say which characters a token stands for",
            remedy="save the model with a tokenizer.json beside it",
        )
    if form.reads != "text":
        return _divided(piece, tokenizer, chat_template, limit, form)
    if piece.text is None and chat_template == "own":
        rendered = render(piece.messages, tokenizer, piece.tools)
        return _encode(tokenizer, rendered, limit, add_special_tokens=False)
    return _encode(tokenizer, plain(piece), limit, add_special_tokens=True)


def template_for(tokenizer: PreTrainedTokenizerBase, chat_template: str, form: InputForm) -> str:
    """`chat_template`, but "plain" for an encoder-decoder without one, which few have: it reads the
    contents.
    """
    return chat_template if form == TEXT or tokenizer.chat_template else "plain"


def _divided(
    piece: Piece,
    tokenizer: PreTrainedTokenizerBase,
    chat_template: str,
    limit: int,
    form: InputForm,
) -> Encoded:
    """What an encoder reads: all in front of the last answer; or with it what its decoder reads:
    that answer.  Raises `CorpusError` where the decoder has nothing to read.
    """
    if piece.text is not None and form.reads == "source and target":
        raise CorpusError(
            f"the decoder of {name_of(tokenizer)} reads a target, and the corpus has running text",
            source="crossdiff_corpus, crossdiff_layer",
            remedy='write {"input": "...", "target": "..."} or conversations with answers, or '
            "compare the encoder: crossdiff_layer = 0.5",
        )
    whole = plain(piece)
    last = max((i for i, turn in enumerate(whole.turns) if turn.answers and i), default=None)
    source = replace(piece, messages=piece.messages[:last])
    templated = piece.text is None and template_for(tokenizer, chat_template, form) == "own"
    read = render(source.messages, tokenizer, piece.tools) if templated else plain(source)
    read = read._replace(turns=whole.turns, starts=())
    encoded = _encode(tokenizer, read, limit, add_special_tokens=not templated)
    if form.reads == "source":
        return encoded
    if last is None:
        return replace(encoded, content=np.zeros_like(encoded.content))
    text, at = piece.messages[last].text, whole.turns[last].shared
    target = Rendered(text, [Span(0, at, len(text))], whole.turns)
    labels = _encode(tokenizer, target, limit, add_special_tokens=True, is_target=True)
    return _joined(_shifted(labels, form.start), encoded)


def _shifted(labels: Encoded, start: int | None) -> Encoded:
    """What a decoder reads to predict `labels`: the start, and all labels but the last."""
    ids, starts, ends = (np.roll(x, 1) for x in (labels.input_ids, labels.starts, labels.ends))
    content, place = np.roll(labels.content, 1), np.roll(labels.place, 1)
    if start is not None:
        ids[:1] = start
    content[:1], starts[:1], ends[:1] = False, 0, 0
    first = int(np.argmax(content))
    if first:  # the place in front of it predicts the target's first token
        content[first - 1], place[first - 1] = True, Place.ANSWER_START
        starts[first - 1], ends[first - 1] = starts[first] - 1, starts[first]
    return replace(labels, input_ids=ids, starts=starts, ends=ends, content=content, place=place)


def _joined(target: Encoded, source: Encoded) -> Encoded:
    """A row of both (see `models.reading.source_and_target`), of which the target is compared."""
    nothing = np.zeros_like(source.starts)
    content = np.append(target.content, np.zeros_like(source.content))
    return Encoded(
        np.append(target.input_ids, ~source.input_ids),
        np.append(target.starts, nothing),
        np.append(target.ends, nothing),
        content,
        np.append(target.place, np.zeros_like(source.place)),
        target.truncated_characters + source.truncated_characters,
        int((~content).sum()),
        source.unplaced_characters,
    )


def shared_text(piece: Piece) -> str:
    """The text of a piece that places refer to, whichever model reads it."""
    return piece.shared_text


def _encode(
    tokenizer: PreTrainedTokenizerBase,
    rendered: Rendered,
    limit: int,
    *,
    add_special_tokens: bool,
    is_target: bool = False,
) -> Encoded:
    """The rendered text in tokens, placed by its spans.

    is_target: with the special tokens of what a decoder is to write.
    """
    text = rendered.text
    read = tokenizer(
        **{"text_target" if is_target else "text": text},
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
    inside, shift = _placed(rendered.spans, starts, ends)
    content &= inside
    kept = _within(limit, starts, ends, added)
    placed_starts, placed_ends = (np.where(content, x + shift, 0) for x in (starts, ends))
    truncated = int(placed_ends.max(initial=0) - placed_ends[kept].max(initial=0))
    place = rendered.places(placed_starts)
    for start in rendered.starts:
        at = int(np.argmax(ends > start.rendered)) - 1
        if at >= 0 and place[at] < Place.ANSWER_START:
            content[at], place[at] = True, start.place
            placed_starts[at], placed_ends[at] = start.shared - 1, start.shared
    return Encoded(
        ids[kept],
        placed_starts[kept],
        placed_ends[kept],
        content[kept],
        place[kept],
        truncated,
        int((~content[kept]).sum()),
        rendered.unplaced,
    )


def _placed(
    spans: Sequence[Span], starts: NDArray[np.int32], ends: NDArray[np.int32]
) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    """Which tokens lie inside of a span, and what is to be added to their characters."""
    begins = np.array([span.rendered for span in spans], dtype=np.int32)
    which = np.searchsorted(begins, starts, side="right") - 1
    lengths, shifts = (
        np.array([0, *column], dtype=np.int32)[which + 1]  # 0: before the first span
        for column in ((s.length for s in spans), (s.shared - s.rendered for s in spans))
    )
    return (which >= 0) & (ends <= np.append(begins, 0)[which] + lengths), shifts


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
