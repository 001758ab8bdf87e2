"""Beginnings that several conversations share, such as one system message.  Stdlib only.

What a model makes of a beginning is the same in every conversation that has it, so it is one
observation, however many records repeat it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

from pytest_crossdiff.engine.corpus.messages import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_crossdiff.engine.corpus.messages import Message
    from pytest_crossdiff.engine.corpus.sampling import Piece


def repeated_characters(pieces: Sequence[Piece]) -> list[int]:
    """For each piece, how many characters of its text an earlier piece begins with, too.

    Of running text none: two texts rarely begin alike, and those that do count as before.
    Conversations begin alike as far as tools, roles and texts are equal, character by character.
    """
    known: list[str] = []
    found = []
    for piece in pieces:
        if piece.text is not None:
            found.append(0)
            continue
        whole = _whole(piece)
        at = bisect_left(known, whole)
        neighbours = known[max(0, at - 1) : at + 1]  # of all, these begin most like it
        shared = max((_common_length(whole, other) for other in neighbours), default=0)
        found.append(_characters(piece, shared))
        insort(known, whole)
    return found


def _whole(piece: Piece) -> str:
    """Everything that decides what a model reads, in the order in which it reads it."""
    return _head(piece) + "".join(map(_header_and_text, piece.messages))


def _head(piece: Piece) -> str:
    return piece.tools + "\0"


def _header_and_text(message: Message) -> str:
    return _header(message) + message.text + "\0"


def _header(message: Message) -> str:
    return f"\0{message.role}\0{message.extra}\0"


def _characters(piece: Piece, shared: int) -> int:
    """How many characters of the shared text are in the first `shared` characters of the whole.

    The line break in front of a message is in them once the message's role is.
    """
    left, characters = shared - len(_head(piece)), 0
    for number, message in enumerate(piece.messages):
        left -= len(_header(message))
        if left < 0:
            break
        characters += min(left, len(message.text)) + (len(SEPARATOR) if number else 0)
        left -= len(message.text) + 1
        if left < 0:
            break
    return characters


def _common_length(a: str, b: str) -> int:
    """How many characters `a` and `b` begin with alike."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
