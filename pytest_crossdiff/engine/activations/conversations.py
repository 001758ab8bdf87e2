"""Where the texts of a conversation stand in one model's input, and where its answers begin.

`rendered` places are characters of the model's input, `shared` places those of the text that both
models share (`Piece.shared_text`).
"""

from __future__ import annotations

import itertools
import json
import re
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.activations.chat_templates import PLAIN_REMEDY, Chat, name_of
from pytest_crossdiff.engine.corpus.messages import CALLS, SEPARATOR
from pytest_crossdiff.errors import CorpusError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from pytest_crossdiff.engine.corpus.messages import Message, Part, Path
    from pytest_crossdiff.engine.corpus.sampling import Piece


CLOCK_CHECKED = 8
"""Conversations that are rendered with two clocks."""


class Place(IntEnum):
    """What a position of a model's input is in the text."""

    CONTEXT = 0
    """In a turn of the user or the system, in a conversation that has answers, too."""
    TEXT = 1
    """In an assistant's turn, or in anything without one: running text, a lone prompt."""
    ANSWER_START = 2
    """The position that predicts the first token of an assistant's turn."""
    PART_START = 3
    """The position that predicts the first token of another text of such a turn: of the content
    after reasoning, of a call's name or argument."""


class Span(NamedTuple):
    """`length` characters at `rendered` in a model's input that are at `shared` in the text."""

    rendered: int
    shared: int
    length: int


class Start(NamedTuple):
    """Where a turn that a model writes begins, or a further text of it."""

    rendered: int
    shared: int
    place: Place


class Turn(NamedTuple):
    """Where a message begins in the shared text, and whether a model writes it."""

    shared: int
    answers: bool


class Rendered(NamedTuple):
    """A model's input as text, and what stands where in it.

    turns: of a conversation; () of running text.  unplaced: characters of reasoning and tool calls
    that the template leaves out, moves or rewrites.
    """

    text: str
    spans: Sequence[Span]
    turns: Sequence[Turn] = ()
    starts: Sequence[Start] = ()
    unplaced: int = 0

    def places(self, shared_starts: NDArray[np.int32]) -> NDArray[np.int8]:
        """The `Place` of each token by the character at which it begins in the shared text."""
        if not any(turn.answers for turn in self.turns):
            return np.full(len(shared_starts), Place.TEXT, dtype=np.int8)
        begins, answers = map(np.array, zip(*self.turns, strict=True))
        inside = answers[np.searchsorted(begins, shared_starts, side="right") - 1]
        return np.where(inside, Place.TEXT, Place.CONTEXT).astype(np.int8)


class _Slot(NamedTuple):
    """A text of the conversation: the message that has it, and where it begins in the shared text.

    content: whether it is the message's content; templates may leave out the others.
    """

    message: int
    part: Part
    shared: int

    @property
    def content(self) -> bool:
        return self.part.paths == (("content",),)


class _Occurrence(NamedTuple):
    """A text where it stands in the model's input, as one span or, where JSON escapes characters of
    it, several.
    """

    slot: _Slot
    spans: Sequence[Span]


def plain(piece: Piece) -> Rendered:
    """A piece as it is, without any template."""
    text, turns = piece.shared_text, _turns(piece.messages)
    starts = [Start(t.shared, t.shared, Place.ANSWER_START) for t in turns[1:] if t.answers]
    return Rendered(text, [Span(0, 0, len(text))], turns, starts)


def render(
    messages: Sequence[Message], tokenizer: PreTrainedTokenizerBase, tools: str = ""
) -> Rendered:
    """`messages` in the tokenizer's chat template, and where their texts stand in it.

    tools: those that the conversation offers, as JSON.  The template is rendered a second time with
    marks for the texts.  What stands between the marks tells where each text begins and ends, even
    if it is a word that the template uses, too.  Raises `CorpusError` when the template refuses the
    conversation, or drops, moves or rewrites a content.
    """
    chat = Chat(messages, tokenizer, tools)
    slots = [slot for slot in _slots(messages) if slot.part.text.strip()]
    rendered = chat.write()
    try:
        found = _occurrences(rendered, slots, chat)
    except CorpusError:
        contents = [slot for slot in slots if slot.content]
        if contents == slots:
            raise
        found = _occurrences(rendered, contents, chat)
    found = list(_in_order(found))
    placed = {occurrence.slot for occurrence in found}
    turns = _turns(messages)
    return Rendered(
        rendered,
        [span for occurrence in found for span in occurrence.spans],
        turns,
        list(_starts(rendered, turns, found, chat)),
        sum(len(slot.part.text) for slot in slots if slot not in placed),
    )


def reads_clock(
    pieces: Iterable[Piece], tokenizer: PreTrainedTokenizerBase, chat_template: str
) -> bool:
    """Whether the chat template writes today's date, or the time, into one of the first
    conversations.  Raises as `Chat.reads_clock` does.
    """
    if chat_template != "own":
        return False
    conversations = (piece for piece in pieces if piece.text is None)
    first = itertools.islice(conversations, CLOCK_CHECKED)
    return any(Chat(p.messages, tokenizer, p.tools).reads_clock() for p in first)


def _turns(messages: Sequence[Message]) -> list[Turn]:
    turns, begin = [], 0
    for message in messages:
        turns.append(Turn(begin, message.answers))
        begin += len(message.text) + len(SEPARATOR)
    return turns


def _slots(messages: Sequence[Message]) -> Iterator[_Slot]:
    for number, (message, turn) in enumerate(zip(messages, _turns(messages), strict=True)):
        begin = turn.shared
        for part in message.parts:
            yield _Slot(number, part, begin)
            begin += len(part.text) + len(SEPARATOR)


def _occurrences(rendered: str, slots: Sequence[_Slot], chat: Chat) -> list[_Occurrence]:
    """Every occurrence of a text in the model's input, in the input's order.

    Raises `CorpusError` unless each content occurs once and in order.
    """
    marks: list[dict[Path, str]] = [{} for _ in chat.messages]
    for i, slot in enumerate(slots):
        marks[slot.message] |= dict.fromkeys(slot.part.paths, f"\ue000{i}\ue001")
    frame = chat.write(marks)
    for i, slot in enumerate(slots):
        if slot.part.number:  # its mark is a string, in JSON between quotes, and it isn't
            frame = frame.replace(f'"\ue000{i}\ue001"', f"\ue000{i}\ue001")
    first, *rest = re.split("\ue000([0-9]+)\ue001", frame)
    order, literals = [slots[int(i)] for i in rest[::2]], rest[1::2]
    contents = [slot for slot in slots if slot.content]
    in_frame = [slot for slot in order if slot.content]
    if contents != in_frame:
        missing = (a for a, b in zip(contents, [*in_frame, None], strict=False) if a != b)
        raise _lost(next(missing, contents[-1]), chat)
    if not rendered.startswith(first):
        raise _lost((order or slots)[0], chat)
    found, at = [], len(first)
    for number, (slot, literal) in enumerate(zip(order, literals, strict=True), 1):
        for form, spans in _forms(slot):
            end = at + len(form) + len(literal)
            if rendered.startswith(form + literal, at) and (
                number < len(order) or end == len(rendered)
            ):
                moved = [Span(at + s.rendered, slot.shared + s.shared, s.length) for s in spans]
                found.append(_Occurrence(slot, moved))
                at = end
                break
        else:
            raise _lost(slot, chat)
    return found


def _lost(slot: _Slot, chat: Chat) -> CorpusError:
    message = chat.messages[slot.message]
    return CorpusError(
        f"the chat template of {name_of(chat.tokenizer)} drops, moves or rewrites message "
        f"{slot.message + 1} ({message.role}: {slot.part.text[:40]!r})",
        remedy=PLAIN_REMEDY,
    )


def _forms(slot: _Slot) -> Iterator[tuple[str, list[Span]]]:
    """What templates make of a text: itself, trimmed, or in JSON; and what of it stands where."""
    text = slot.part.text
    for left in (text, text.lstrip("\n"), text.lstrip()):
        for form in (left, left.rstrip("\n"), left.rstrip()):
            yield form, [Span(0, len(text) - len(left), len(form))]
    if not slot.content:
        yield _in_json(text)


def _in_json(text: str) -> tuple[str, list[Span]]:
    """The text inside of a JSON string, with a span for each run of characters that stay."""
    written = [json.dumps(character, ensure_ascii=False)[1:-1] for character in text]
    spans: list[Span] = []
    at = begin = 0
    for i, form in enumerate(written):
        if len(form) > 1:
            spans += [Span(at - (i - begin), begin, i - begin)] if i > begin else []
            begin = i + 1
        at += len(form)
    spans += [Span(at - (len(text) - begin), begin, len(text) - begin)] if len(text) > begin else []
    return "".join(written), spans


def _in_order(found: Sequence[_Occurrence]) -> Iterator[_Occurrence]:
    """Each text once, and only such whose order in the input is that in the shared text: contents
    are, by `_occurrences`.
    """
    last = -1
    for number, occurrence in enumerate(found):
        later = (o.slot.shared for o in found[number + 1 :] if o.slot.content)
        if last < occurrence.slot.shared < min(later, default=occurrence.slot.shared + 1):
            last = occurrence.slot.shared
            yield occurrence


def _starts(
    rendered: str, turns: Sequence[Turn], found: Sequence[_Occurrence], chat: Chat
) -> Iterator[Start]:
    """Where the model begins to write each of its turns but a first message, and each text of them.

    A turn begins with its first text.  One without content or reasoning begins where the template's
    prompt ends, as what comes first is the decision for a call.
    """
    for number, turn in enumerate(turns):
        if not turn.answers or not number:
            continue
        texts = [o for o in found if o.slot.message == number and o.spans]
        begin = texts[0].spans[0].rendered if texts else None
        if not texts or texts[0].slot.part.paths[0][0] in CALLS:
            end = chat.prompt_end(number, rendered)
            begin = begin if end is None else end
        if begin is not None:
            yield Start(begin, turn.shared, Place.ANSWER_START)
        for text in texts:
            if text.slot.shared > turn.shared:
                yield Start(text.spans[0].rendered, text.slot.shared, Place.PART_START)
