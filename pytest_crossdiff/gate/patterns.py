"""Differences that have to do with a given pattern of text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pytest_crossdiff.errors import SettingsError
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.sides import Side

Sides = Literal["baseline", "candidate", "both"]


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
    """The differences of `sides` with `pattern` in what sets them off, or in what is said there."""
    return tuple(
        difference
        for side in sides
        for difference in result.of(side)
        if matches(difference, pattern, result)
    )


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
