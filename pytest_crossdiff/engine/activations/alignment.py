"""Which tokens of two tokenizations of one text end at the same character.

Such a pair has read the same text up to the same place, whatever the tokenizers.  Ends alone
decide: whether a word's token begins before or after the space in front of it is a convention.
Axes: a, b tokens of the two models; n pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    IntArray = NDArray[np.integer]


class Tokens(NamedTuple):
    """One model's tokens of a piece: characters [start, end) each, in order.

    content: False for special and template tokens, which have no place in the text.
    """

    ids: NDArray[np.int32]
    starts: NDArray[np.int32]
    ends: NDArray[np.int32]
    content: NDArray[np.bool_]


class Coverage(NamedTuple):
    """How much of one piece the pairs speak for.

    A token speaks for the characters since the end of the content token before it, so spaces and
    characters that a tokenizer skips count with the token that follows.  aligned_characters: those
    that the paired tokens of a model speak for.  characters: up to the last content token's end.
    """

    aligned_tokens_a: int
    aligned_tokens_b: int
    content_tokens_a: int
    content_tokens_b: int
    aligned_characters_a: int
    aligned_characters_b: int
    characters: int


def align(ends_a: IntArray, ends_b: IntArray) -> NDArray[np.int64]:
    """Positions of the tokens that end at the same character, shape (n, 2), rising in both columns.

    Of several tokens that end there, such as the bytes of an emoji, the last one counts: only it
    has read the whole character.
    """
    last_a, last_b = _last_ends(ends_a), _last_ends(ends_b)
    _, in_a, in_b = np.intersect1d(
        ends_a[last_a], ends_b[last_b], assume_unique=True, return_indices=True
    )
    return np.stack((last_a[in_a], last_b[in_b]), axis=1)


def align_tokens(a: Tokens, b: Tokens) -> NDArray[np.int64]:
    """Positions of paired content tokens, shape (n, 2); see `align`.

    Tokenizations that agree in everything pair token by token, every byte of an emoji included;
    ids may be numbered in another order.  Between others, a token has a partner only if it is the
    last to read its characters: not a byte inside of a character, and not the mark that some
    tokenizers put before a text, which claims the first character and has not read it.
    """
    if _same_tokens(a, b):
        same = np.flatnonzero(a.content)
        return np.stack((same, same), axis=1)
    in_a, in_b = map(_complete, (a, b))
    pairs = align(a.ends[in_a], b.ends[in_b])
    return np.stack((in_a[pairs[:, 0]], in_b[pairs[:, 1]]), axis=1)


def coverage(pairs: NDArray[np.int64], a: Tokens, b: Tokens) -> Coverage:
    """What `pairs` of content tokens cover of either tokenization."""
    return Coverage(
        len(pairs),
        len(pairs),
        int(a.content.sum()),
        int(b.content.sum()),
        _spoken_for(a, pairs[:, 0]),
        _spoken_for(b, pairs[:, 1]),
        int(max(t.ends[t.content].max(initial=0) for t in (a, b))),
    )


def complete_ends(starts: IntArray, ends: IntArray) -> IntArray:
    """The characters up to which whole tokens have been read: ends of tokens behind which every
    later one begins, so of several that share a character the last one.
    """
    later = np.minimum.accumulate(starts[::-1])[::-1]
    whole = np.append(ends[:-1] <= later[1:], True)[: len(ends)] & (ends > starts)
    return ends[whole]


def _same_tokens(a: Tokens, b: Tokens) -> bool:
    """Whether both stand at the same places and are the same but for how the ids are numbered."""
    if not all(np.array_equal(x, y) for x, y in zip(a[1:], b[1:], strict=True)):
        return False
    if np.array_equal(a.ids, b.ids):
        return True
    both = np.unique(np.stack((a.ids, b.ids))[:, a.content], axis=1).shape[1]
    return all(both == len(np.unique(t.ids[t.content])) for t in (a, b))


def _complete(tokens: Tokens) -> NDArray[np.int64]:
    """Positions of the content tokens behind whose end every later one begins."""
    content = np.flatnonzero(tokens.content & (tokens.ends > tokens.starts))
    starts, ends = tokens.starts[content], tokens.ends[content]
    later = np.minimum.accumulate(starts[::-1])[::-1]
    complete: NDArray[np.int64] = content[np.append(ends[:-1] <= later[1:], True)[: len(content)]]
    return complete


def _last_ends(ends: IntArray) -> NDArray[np.int64]:
    """Positions of tokens that end before every later one does: rising, whatever comes in."""
    later = np.minimum.accumulate(ends[::-1])[::-1]
    return np.flatnonzero(np.append(ends[:-1] < later[1:], True)[: len(ends)])


def _spoken_for(tokens: Tokens, paired: NDArray[np.int64]) -> int:
    ends = np.unique(tokens.ends[tokens.content])
    lengths = np.diff(ends, prepend=0)
    return int(lengths[np.isin(ends, tokens.ends[paired])].sum())
