"""What both models answer to the prompts of the corpus (METHOD 8)."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

Z = 1.959964
"""Of a 95 % interval."""

Likeliest = tuple[tuple[str, float], ...]
"""Tokens with their probabilities, the likeliest first."""


@dataclass(frozen=True)
class Share:
    """So many out of so many, with the 95 % interval of the share (Wilson 1927)."""

    count: int
    total: int

    @property
    def value(self) -> float:
        return self.count / self.total if self.total else 0.0

    @property
    def low(self) -> float:
        return self._middle - self._reach if self.count else 0.0

    @property
    def high(self) -> float:
        return self._middle + self._reach if self.count < self.total else 1.0

    @property
    def _middle(self) -> float:
        return (self.count + Z**2 / 2) / (self.total + Z**2)

    @property
    def _reach(self) -> float:
        p, n = self.value, max(self.total, 1)
        return Z * sqrt(p * (1 - p) / n + Z**2 / (4 * n * n)) / (1 + Z**2 / n)


@dataclass(frozen=True)
class Reply:
    """One model's answer to a prompt.

    ended: whether the model ended it before the limit of tokens.  surprise: how much likelier the
    other model finds a token of its own reply to the same prompt than a token of this one, on
    average, in nats.
    """

    text: str
    ended: bool
    surprise: float


@dataclass(frozen=True)
class ReplyPair:
    """Both answers to one prompt.

    document: the record; slice: of the corpus; question: the last message before the answer.
    common: characters that both replies begin with.  baseline_next, candidate_next: what each found
    likeliest where the replies part; () where they are the same.
    """

    document: str
    question: str
    baseline: Reply
    candidate: Reply
    common: int
    baseline_next: Likeliest
    candidate_next: Likeliest
    slice: str = ""

    @property
    def same(self) -> bool:
        """Whether both models say the same, and end it alike."""
        return self.baseline.text == self.candidate.text and (
            self.baseline.ended == self.candidate.ended
        )

    @property
    def surprise(self) -> float:
        """Of the more surprising reply."""
        return max(self.baseline.surprise, self.candidate.surprise)


@dataclass(frozen=True)
class Replies:
    """Both models' replies to the same prompts, the most surprising first.

    tokens: at most so many a reply.  A reply is *surprising* when its surprise is at least
    `threshold`, in nats a token.
    """

    tokens: int
    threshold: float
    pairs: tuple[ReplyPair, ...]
    surprising_baseline: Share
    surprising_candidate: Share
    changed: Share
    changed_beginning: Share
