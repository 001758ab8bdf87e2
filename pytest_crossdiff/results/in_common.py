"""What the surprising replies of the candidate have in common: words, length, slices.

Counts, which a reader can check against the replies; no verdict depends on them.  A phrase is shown
when a third of the surprising replies have it and the other model's replies, to all prompts
together, have it a quarter as often at most.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from pytest_crossdiff.sides import SIDES, Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pytest_crossdiff.results.replies import Replies, Reply, ReplyPair

FEWEST, LEAST_SHARE, MOST_OTHERS = 3, 1 / 3, 1 / 4
"""Surprising replies that share a phrase, at least: so many, and this share of them.  In how many
of the other model's replies it may stand, as a share of that count.
"""
KEPT = 0.8
"""A longer phrase is shown for a shorter one when this share of its replies have it."""
MOST_PHRASES, MOST_WORDS, MOST_SLICES = 3, 20, 2
SHORTER = 0.5
"""The length is shown when one model's is at most this share of the other's."""
MARKS = " .,;:!?)"
"""Left off before a phrase."""
_LETTER = r"(?:(?![\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff])\w)"
WORDS = re.compile(rf"{_LETTER}+(?:['\u2019]{_LETTER}+)*|\S")
"""Words, and every mark by itself; every character of Chinese, Japanese and Thai, which have no
spaces between words.
"""

Phrase = tuple[str, ...]


@dataclass(frozen=True)
class SharedPhrase:
    """Phrase that `count` of the surprising replies have and few of the other model's.

    side: the model that says them; the baseline for words that the candidate no longer says there.
    text: as one of the replies has it.  begins: it is the beginning of all of them.  others: how
    many replies of the other model have it, to whatever prompt.
    """

    side: Side
    text: str
    count: int
    begins: bool
    others: int


@dataclass(frozen=True)
class SurprisingSlice:
    """A slice of the corpus: how many of its `total` prompts have surprising replies."""

    name: str
    count: int
    total: int


@dataclass(frozen=True)
class InCommon:
    """What the candidate's `count` surprising replies to `total` prompts share, most first.

    slices: () where the surprising replies are spread over the corpus.  words: the median length
    in words and marks of the baseline's and the candidate's replies to these prompts; () where they
    are about as long.
    """

    count: int
    total: int
    phrases: tuple[SharedPhrase, ...]
    slices: tuple[SurprisingSlice, ...]
    words: tuple[float, ...]


def in_common(replies: Replies | None) -> InCommon | None:
    """None where fewer than three replies are surprising."""
    if replies is None or replies.surprising_candidate.count < FEWEST:
        return None
    read = [
        _Read(pair, {"baseline": _text(pair.baseline), "candidate": _text(pair.candidate)})
        for pair in replies.pairs
    ]
    found = [of for of in read if of.pair.candidate.surprise >= replies.threshold]
    return InCommon(
        len(found), len(read), _phrases(found, read), _slices(found, read), _lengths(found)
    )


class _Text(NamedTuple):
    """A reply with its words and marks, and where each begins and ends."""

    text: str
    words: Phrase
    spans: tuple[tuple[int, int], ...]

    def start(self, phrase: Phrase) -> int | None:
        """The word with which the phrase first begins, None where it is not there."""
        last = len(self.words) - len(phrase)
        starts = (n for n in range(last + 1) if self.words[n : n + len(phrase)] == phrase)
        return next(starts, None)


class _Read(NamedTuple):
    pair: ReplyPair
    said: dict[Side, _Text]


def _text(reply: Reply) -> _Text:
    found = [*WORDS.finditer(reply.text)]
    return _Text(reply.text, tuple(m[0] for m in found), tuple(m.span() for m in found))


def _phrases(found: Sequence[_Read], read: Sequence[_Read]) -> tuple[SharedPhrase, ...]:
    """The candidate's, as long as they reach replies that none before has; for what is left also
    those that only the baseline has.
    """
    least = max(FEWEST, LEAST_SHARE * len(found))
    told: list[SharedPhrase] = []
    left = list(found)
    for side in reversed(SIDES):
        others = [of.said[SIDES[side == "baseline"]] for of in read]
        while len(told) < MOST_PHRASES and len(left) >= least:
            best = _best([of.said[side] for of in left], others, least)
            if best is None:
                break
            told.append(_told(side, best, [of.said[side] for of in found], others))
            left = [of for of in left if of.said[side].start(best) is None]
    return tuple(told)


def _told(
    side: Side, phrase: Phrase, own: Sequence[_Text], others: Sequence[_Text]
) -> SharedPhrase:
    having = [(of, start) for of in own if (start := of.start(phrase)) is not None]
    first, start = having[0]
    text = first.text[first.spans[start][0] : first.spans[start + len(phrase) - 1][1]]
    return SharedPhrase(
        side,
        text.lstrip(MARKS) or text,
        len(having),
        all(not start for _, start in having),
        sum(of.start(phrase) is not None for of in others),
    )


def _best(own: Sequence[_Text], others: Sequence[_Text], least: float) -> Phrase | None:
    """The phrase in most of `own`; of those that nearly as many have, the longest."""
    frequent = _frequent(own, least)
    elsewhere = _counted(others, frequent)
    known = {
        phrase: count
        for phrase, count in frequent.items()
        if elsewhere[phrase] <= MOST_OTHERS * count
    }
    near = [phrase for phrase, count in known.items() if count >= KEPT * max(known.values())]
    return max(near, key=lambda phrase: (len(phrase), known[phrase]), default=None)


def _frequent(texts: Sequence[_Text], least: float) -> dict[Phrase, int]:
    """Every phrase that at least so many of the texts have, in the order of length and of the
    texts: a longer one only from a shorter one that is frequent (Agrawal and Srikant 1994).
    """
    found: dict[Phrase, int] = {}
    begun = [[*range(len(text.words))] for text in texts]
    for length in range(1, MOST_WORDS + 1):
        counts: Counter[Phrase] = Counter()
        for text, starts in zip(texts, begun, strict=True):
            counts.update(list(dict.fromkeys(text.words[s : s + length] for s in starts)))
        frequent = {phrase: count for phrase, count in counts.items() if count >= least}
        found |= frequent
        begun = [
            [
                start
                for start in starts
                if start + length < len(text.words)
                and text.words[start : start + length] in frequent
            ]
            for text, starts in zip(texts, begun, strict=True)
        ]
    return found


def _counted(texts: Sequence[_Text], phrases: dict[Phrase, int]) -> Counter[Phrase]:
    """How many of the texts have each phrase; all beginnings of a phrase are phrases."""
    counts: Counter[Phrase] = Counter()
    for text in texts:
        having = set()
        for start in range(len(text.words)):
            for end in range(start + 1, len(text.words) + 1):
                if (phrase := text.words[start:end]) not in phrases:
                    break
                having.add(phrase)
        counts.update(having)
    return counts


def _slices(found: Sequence[_Read], read: Sequence[_Read]) -> tuple[SurprisingSlice, ...]:
    """Those with most surprising replies, where that is half of all of them."""
    totals = Counter(of.pair.slice for of in read)
    counts = Counter(of.pair.slice for of in found)
    first = sorted(counts, key=lambda name: (-counts[name], totals[name], name))[:MOST_SLICES]
    if len(totals) <= MOST_SLICES or 2 * sum(counts[name] for name in first) < len(found):
        return ()
    return tuple(SurprisingSlice(name, counts[name], totals[name]) for name in first)


def _lengths(found: Sequence[_Read]) -> tuple[float, ...]:
    medians = tuple(float(median(len(of.said[side].words) for of in found)) for side in SIDES)
    return medians if min(medians) <= SHORTER * max(medians) else ()
