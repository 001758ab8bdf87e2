"""Differences that have to do with a given pattern of text."""

from __future__ import annotations

import re
from math import comb
from typing import TYPE_CHECKING, Literal, NamedTuple

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.replies import ReplyPair
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.sides import Side

Sides = Literal["baseline", "candidate", "both"]


LEVEL = 0.05
"""Of the test whether more replies of one model match a pattern than of the other."""


class MatchingReplies(NamedTuple):
    """Prompts that one model alone answers with a match.

    pairs: those prompts, with both replies.  only_other: prompts that the other model alone answers
    with a match.  p_value: one-sided, of the sign test between the two.
    """

    side: Side
    pairs: tuple[ReplyPair, ...]
    only_other: int
    p_value: float


def compile_pattern(pattern: str | re.Pattern[str], caller: str) -> re.Pattern[str]:
    """`pattern` as a regular expression.  Raises `SettingsError` when it isn't one."""
    try:
        return re.compile(pattern)
    except (re.error, TypeError) as error:
        raise SettingsError(
            f"matching = {pattern!r} is not a regular expression: {error}",
            source=caller,
            remedy="escape literal text with re.escape(...)",
        ) from None


def sides(side: str, caller: str) -> tuple[Side, ...]:
    """The sides that `side` names.  Raises `SettingsError` when it names none."""
    if side == "both":
        return SIDES
    for known in SIDES:
        if side == known:
            return (known,)
    raise SettingsError(
        f"side = {side!r} is not a side",
        source=caller,
        remedy="give 'candidate', 'baseline' or 'both'",
    )


def matching(
    result: Result, pattern: re.Pattern[str], sides: tuple[Side, ...]
) -> tuple[Difference, ...]:
    """The differences of `sides` with a match of `pattern` in the text on which they fire, or in
    what their model says there.
    """
    return tuple(
        difference
        for side in sides
        for difference in result.of(side)
        if matches(difference, pattern, result)
    )


def matching_replies(
    result: Result, pattern: re.Pattern[str], sides: tuple[Side, ...]
) -> tuple[MatchingReplies, ...]:
    """The sides of which significantly more replies match than of the other model.

    Prompts that both answer with a match, or neither, say nothing; of the rest each is as likely to
    be the one model's as the other's if nothing has changed (sign test, McNemar 1947).
    """
    pairs = () if result.replies is None else result.replies.pairs
    only: dict[Side, list[ReplyPair]] = {side: [] for side in SIDES}
    for pair in pairs:
        in_baseline, in_candidate = (
            pattern.search(of.text) is not None for of in (pair.baseline, pair.candidate)
        )
        if in_baseline != in_candidate:
            only["candidate" if in_candidate else "baseline"].append(pair)
    found = []
    for side in sides:
        own, other = only[side], only[SIDES[side == "baseline"]]
        total = len(own) + len(other)
        p_value = sum(comb(total, k) for k in range(len(own), total + 1)) / 2**total
        if own and p_value <= LEVEL:
            found.append(MatchingReplies(side, tuple(own), len(other), p_value))
    return tuple(found)


def matches(difference: Difference, pattern: re.Pattern[str], result: Result) -> bool:
    """Whether `pattern` is in a token or a context that sets the difference off, or, where
    predictions were read, in what its model says there.
    """
    return any(pattern.search(text) for text in _texts(difference, result))


def _texts(difference: Difference, result: Result) -> Iterator[str]:
    yield from result.predicted_tokens(difference)[0]
    for token in difference.tokens:
        yield token.token
    for context in difference.contexts:
        yield context.token
        yield context.before + context.token + context.after
