"""Whether the model has changed, or the texts around it: an upgrade split into both (METHOD 8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pytest_crossdiff.results.output import Estimate
from pytest_crossdiff.sides import Side

Drift = Literal["new", "gone", "share", "texts"]


@dataclass(frozen=True)
class Effects:
    """The change of a number from the baseline on the reference corpus to the candidate on today's.

    model: what the other model alone changes, on the reference corpus.  workflow: what the other
    texts alone change, with the baseline.  interaction: what both change together beyond that.
    total: their sum.
    """

    model: Estimate
    workflow: Estimate
    interaction: Estimate
    total: float


@dataclass(frozen=True)
class FiringChange:
    """On what share of the compared tokens a difference fires on the reference corpus and on
    today's, and the change between them.
    """

    difference: str
    side: Side
    reference: Estimate
    today: Estimate
    change: Estimate


@dataclass(frozen=True)
class DriftedSlice:
    """A part of the corpus that is not what it was.

    drift: it is `"new"` or `"gone"`, has another `"share"` of the documents, or holds other
    `"texts"`: the baseline predicts them better or worse.  reference, today: its share of the
    held-out documents.  loss: the change of the baseline's loss on it, nats a token; None where it
    is in one corpus only.  p_value: of the permutation test, before the correction for several
    slices.
    """

    name: str
    drift: Drift
    reference: float
    today: float
    loss: Estimate | None
    p_value: float


@dataclass(frozen=True)
class Workflow:
    """The change since the last sign-off: the model's, the workflow's, and both together.

    reference: the corpus of the last sign-off.  reference_documents, documents: held out of it and
    of today's.  loss: -log p of the texts, nats a token.  kl: KL(baseline || candidate), nats a
    token; its workflow effect is 0, for the baseline does not differ from itself; None between
    different tokenizers.  firing: of each confirmed difference.  slices: those that have drifted.
    """

    reference: str
    reference_documents: int
    documents: int
    loss: Effects
    kl: Effects | None
    firing: tuple[FiringChange, ...]
    slices: tuple[DriftedSlice, ...]
