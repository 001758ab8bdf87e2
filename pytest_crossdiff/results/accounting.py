"""How much of the change of the output is accounted for, and where the rest lies (METHOD 8)."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_crossdiff.results.output import ChangedPosition


@dataclass(frozen=True)
class UnexplainedSlice:
    """A part of the corpus.  kl: its KL divergence in nats a token.  unexplained: share of it."""

    name: str
    kl: float
    unexplained: float


@dataclass(frozen=True)
class Accounting:
    """Shares of the KL divergence between the predictions on the held-out texts; they add up to 1.

    differences: at the predictions behind the tokens where confirmed differences fire.  confidence:
    at the others, what is gone when the candidate's predictions are brought to the temperature at
    which they are nearest to the baseline's (`OutputMetrics.temperature`): the candidate is more,
    or less, confident in what both say.  unexplained: the rest.  positions: where most of the rest
    lies, of each document one at most, kl being what is unexplained.  slices: where the texts have
    several parts, the least explained first.
    """

    differences: float
    confidence: float
    unexplained: float
    positions: tuple[ChangedPosition, ...]
    slices: tuple[UnexplainedSlice, ...]
