"""Ordinary tests that asked a model something, and which differences fire on what was said."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pytest_crossdiff.sides import Side

_SIDES = re.compile(r"baseline|candidate")


@dataclass(frozen=True)
class RecordedText:
    """A conversation as (role, content), and what the model of `side` answered."""

    side: Side
    prompt: tuple[tuple[str, str], ...]
    output: str


@dataclass(frozen=True)
class RecordedRun:
    """One run of a test.  passed: None where it was skipped or never came to its call."""

    test: str
    sides: tuple[Side, ...]
    passed: bool | None
    texts: tuple[RecordedText, ...]

    @property
    def name(self) -> str:
        """The name that its runs on both models share: `test_tone[*]` of `test_tone[baseline]`."""
        return _SIDES.sub("*", self.test)


@dataclass(frozen=True)
class FiringShare:
    """On what share of a test's tokens a difference fires.  layer: where it was found.  what: the
    difference in words.
    """

    difference: str
    side: Side
    layer: str
    share: float
    what: str


@dataclass(frozen=True)
class TestAtRisk:
    """A test that one model passes and the other fails.

    passes: the model that passes it.  differences: those that fire on its texts, of those that fire
    more on such tests than on tests that agree; strongest first.  unexplained: the texts on which
    none of them fires.
    """

    __test__ = False  # pytest, this is no test

    name: str
    passes: Side
    differences: tuple[FiringShare, ...]
    unexplained: tuple[RecordedText, ...]


@dataclass(frozen=True)
class TestsAtRisk:
    """All tests that one model passes and the other fails.

    pairs: tests that ran on both models.  tested: differences that were tested, on `read` tests
    with texts.  reason: why no difference was tested, "" where some were.  unread: of each text
    that the models can't read, why.
    """

    __test__ = False

    tests: tuple[TestAtRisk, ...]
    pairs: int
    read: int
    tested: int
    reason: str = ""
    unread: tuple[str, ...] = ()
