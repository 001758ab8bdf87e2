"""How much two models' predictions differ on the held-out texts: output metrics (METHOD 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["token", "span"]


@dataclass(frozen=True)
class Estimate:
    """A measured number with its 95 % bootstrap interval over documents.

    low, high: None where there are too few documents for an interval.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class SliceMetrics:
    """The metrics of one part of the corpus.  kl, same_top: None between different tokenizers."""

    name: str
    documents: int
    positions: int
    kl: Estimate | None
    same_top: Estimate | None
    perplexity_ratio: Estimate


@dataclass(frozen=True)
class ChangedPosition:
    """A position at which the two predictions differ much.

    before: the text up to the predicted token.  token: what follows in the text.  kl: in nats.
    baseline_top, candidate_top: each model's most likely token, with its probability.
    """

    document: str
    slice: str
    before: str
    token: str
    kl: float
    baseline_top: str
    baseline_probability: float
    candidate_top: str
    candidate_probability: float


@dataclass(frozen=True)
class OutputMetrics:
    """How much the two models' next-token predictions differ on held-out text.

    unit: what is compared: each token's prediction where both models have one vocabulary and divide
    the texts alike; else spans, stretches of text at whose ends, which are ends of words, both
    tokenizers end a token.  positions: tokens or spans compared.  documents: that they lie in.
    kl: KL(baseline || candidate), mean over positions, in nats a token, None for spans, as all
    that needs one vocabulary.  kl_percentiles: by the percentile, e.g. "99".  temperature: of the
    candidate at which its predictions are nearest to the baseline's, above 1 where the candidate is
    the more confident one.  tempered_kl: the KL that is left at that temperature.  same_top: share
    of the positions at which both models have the same most likely token.  probability_change: of
    the actual token, candidate minus baseline: mean, root mean square, and percentiles.
    log_probability_change: the same in nats, of the actual token or span: mean and root mean
    square.  perplexity_ratio: of the candidate over the baseline, a token or (spans) a byte.
    baseline_loss, candidate_loss: -log p of the actual text, in nats a token or (spans) a byte.
    largest: the positions with the largest KL, of each document one at most, the largest first.
    """

    unit: Unit
    documents: int
    positions: int
    kl: Estimate | None
    kl_percentiles: dict[str, Estimate]
    same_top: Estimate | None
    probability_change: Estimate | None
    probability_change_rms: Estimate | None
    probability_change_percentiles: dict[str, Estimate]
    log_probability_change: Estimate
    log_probability_change_rms: Estimate
    perplexity_ratio: Estimate
    baseline_loss: Estimate
    candidate_loss: Estimate
    slices: tuple[SliceMetrics, ...]
    largest: tuple[ChangedPosition, ...]
    temperature: float | None = None
    tempered_kl: Estimate | None = None
