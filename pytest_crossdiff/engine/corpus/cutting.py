"""Cutting a long text into pieces where a reader would pause.  Stdlib only."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_STOP, _WIDE_STOP = "[.!?…]", "[。！？｡।॥؟۔]"  # noqa: RUF001 - the latter need no space
_QUOTE = """["'”’)\\]」』）]"""  # noqa: RUF001
_SENTENCE = re.compile(
    rf"(?:(?<={_STOP})|(?<={_STOP}{_QUOTE}))(?=\s)"
    rf"|(?<={_WIDE_STOP})(?!{_QUOTE})|(?<={_WIDE_STOP}{_QUOTE})"
)
_WORD = re.compile(r"(?<=\S)(?=\s)")  # before the space: many tokenizers begin words with it

_ZWJ, _ZWNJ = "\u200d", "\u200c"


def split_text(text: str, limit: int) -> Iterator[tuple[int, str]]:
    """Pieces of at most `limit` UTF-8 bytes, each with the position of its first character.

    Together they are the text.  A cut comes at the last paragraph break in the second half of what
    fits; failing that after a line, a sentence, a word; failing that between characters as a reader
    sees them, and inside one only when it is itself longer than fits.
    """
    start = 0
    while start < len(text):
        end = _reach(text, start, limit)
        if end < len(text):
            end = _boundary(text, start, end)
        yield start, text[start:end]
        start = end


def _reach(text: str, start: int, limit: int) -> int:
    """The furthest end with text[start:end] within `limit` bytes, beyond `start` in any case."""
    ahead = text[start : start + limit]
    if not ahead.isascii():
        ahead = ahead.encode()[:limit].decode(errors="ignore")
    return start + max(1, len(ahead))


def _boundary(text: str, start: int, high: int) -> int:
    """The best place to end the piece that begins at `start` and reaches `high` at most."""
    low = start + (high - start + 1) // 2
    for separator in ("\n\n", "\n"):
        found = text.rfind(separator, low, high)
        if found >= 0 and is_boundary(text, found + len(separator), start):
            return found + len(separator)
    for pattern in (_SENTENCE, _WORD):
        # One further than `high`, where the space after the last word may stand.
        places = [m.start() for m in pattern.finditer(text, low, high + 1)]
        for place in reversed(places):
            if place <= high and is_boundary(text, place, start):
                return place
    return next((i for i in range(high, start, -1) if is_boundary(text, i, start)), high)


def is_boundary(text: str, i: int, start: int = 0) -> bool:
    """Whether `text` can be cut before character `i` without tearing what is seen as one.

    An approximation of Unicode's extended grapheme clusters (UAX #29) from what the standard
    library knows, erring towards keeping things together.  start: a boundary at or before `i`.
    """
    if not 0 < i < len(text):
        return True
    before, after = text[i - 1], text[i]
    if before.isascii() and after.isascii():
        return True
    if before == "\n":
        return True
    return not (
        unicodedata.category(after)
        in ("Mn", "Mc", "Me")  # accents, vowel signs, variation selectors
        or after in (_ZWJ, _ZWNJ)
        or before == _ZWJ
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # skin tones
        or "\U000e0020" <= after <= "\U000e007f"  # tags, as in the flag of Scotland
        or "\u1160" <= after <= "\u11ff"  # vowels and finals of a Korean syllable
        or unicodedata.combining(before) == 9  # a virama joins the next consonant
        or (_is_regional(after) and _regionals_before(text, i, start) % 2 == 1)
    )


def _is_regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _regionals_before(text: str, i: int, start: int) -> int:
    """How many halves of flags stand directly before `i`, from `start` on."""
    first = i
    while first > start and _is_regional(text[first - 1]):
        first -= 1
    return i - first
