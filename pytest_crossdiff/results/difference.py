"""A difference, its features, and the text and the output by which a person checks it."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Literal

from pytest_crossdiff.results.replies import Share
from pytest_crossdiff.sides import Side

Certainty = Literal["confirmed", "possible"]
Kind = Literal["exclusive", "rewritten"]


@dataclass(frozen=True)
class Span:
    """One token of a context: where it stands in before + token + after (characters), the
    difference's activation on it, and what the other model predicts of that (units of `Context`).
    """

    start: int
    end: int
    activation: float
    other: float


@dataclass(frozen=True)
class Context:
    """A place in the held-out text where a difference fires.

    `before`, `token` and `after` are pieces of the text as the owner model read it; `activation` is
    in units of the owner's root-mean-square activation norm; `other` is what the other model's
    vector at the same place predicts of it, in the same units; `band` says which part of the
    difference's own range this example was taken from, e.g. `"top"` or `"50-75 %"`.  spans: the
    tokens of before + token + after that both models have.
    """

    document: str
    before: str
    token: str
    after: str
    activation: float
    other: float
    band: str
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class TokenCount:
    """How often a difference fires on a token text, and how often that token occurs (held-out)."""

    token: str
    fired: int
    occurs: int


@dataclass(frozen=True)
class Firing:
    """A place of the held-out text, whatever the tokenizer: the document, a digest of the piece
    of text, the character of it at which the token ends, and the difference's activation there.

    Activations are means over the dictionaries that have the difference.  It keeps the 256 places
    where it fires that have the least `rank`: of a place whose
    rank is below the greatest that it keeps, and which it doesn't keep, it is known not to fire.
    """

    document: str
    piece: str
    end: int
    activation: float

    @property
    def rank(self) -> str:
        """A digest of the place: an order without meaning, the same in every run."""
        return hashlib.sha256(f"{self.piece}:{self.end}".encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Description:
    """What a difference is about, found without any service; nothing here is proof.

    words: those that stand near its firing more often than elsewhere, with their lift (how many
    times more often). promoted, suppressed: tokens whose logit its direction raises or lowers most
    in the owner's own unembedding, () where the model has none; of a difference of predictions,
    what the owner says there that the other model doesn't, and the other way round. positions:
    share of its firing in each tenth of the pieces of text. slices: share of tokens it fires on in
    each part of the corpus.
    """

    words: tuple[tuple[str, float], ...] = ()
    promoted: tuple[str, ...] = ()
    suppressed: tuple[str, ...] = ()
    positions: tuple[float, ...] = ()
    slices: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Effect:
    """What taking a difference away does to its model's output (METHOD 4).

    measure: `"kl"`, nats a token between the predictions with and without it, or `"output"`, the
    relative change of the last hidden state where a model predicts no tokens.  firing, elsewhere:
    its mean where the difference fires and where it doesn't, over so many tokens.  plain, steered:
    how the model goes on with a text, as it is and with the difference added, "" where it writes
    none.  raised, lowered: the tokens whose probability it raises or lowers most where it fires; ()
    where no tokens are predicted.
    """

    measure: str
    firing: float
    elsewhere: float
    firing_tokens: int
    elsewhere_tokens: int
    prompt: str = ""
    plain: str = ""
    steered: str = ""
    raised: tuple[str, ...] = ()
    lowered: tuple[str, ...] = ()


@dataclass(frozen=True)
class HeldoutMeasurement:
    """What the held-out test measures of a feature, or of the features of a difference (METHOD 3
    and 4).

    side: the model that has it.
    kind: exclusive when the other model is found not to have it; rewritten when the other knows the
    places where it fires, but has nothing there of what it writes.
    exclusivity: 1 - R2(other) / R2(own), with its bootstrap interval over documents.
    p_value: of "exclusivity is not above the threshold", before the correction for many features.
    r2_own_low: the lower end of R2(own)'s interval.
    strength: share of the owner's held-out variance that it accounts for.  density: share of
    held-out tokens on which it fires.  peak: its largest activation in units of the
    root-mean-square norm.  documents: held-out documents in which it fires.
    """

    side: Side
    kind: Kind
    exclusivity: float
    exclusivity_low: float
    exclusivity_high: float
    p_value: float
    r2_own: float
    r2_own_low: float
    r2_other: float
    strength: float
    density: float
    peak: float
    documents: int


@dataclass(frozen=True)
class Feature(HeldoutMeasurement):
    """One dictionary feature and what the held-out test says of it.

    strength: what goes unexplained without the feature.
    seed: of the dictionary that it is in.
    rejected: why it is not a difference, "" when it is verified.
    undecided: rejected, but more text may verify it: above its threshold by estimate, though not by
    the whole of its interval.
    """

    seed: int
    index: int
    rejected: str
    undecided: bool

    @property
    def id(self) -> str:
        """`seed.index`, unique within a result."""
        return f"{self.seed}.{self.index}"

    @property
    def verified(self) -> bool:
        return not self.rejected


@dataclass(frozen=True)
class Said:
    """What both models say most often where a difference fires and they say different things.

    after: the token behind which they do.  baseline, candidate: each model's most likely next
    token, with its mean probability.  positions: where both say so, of those where it is `firing`.
    """

    after: str
    baseline: str
    baseline_probability: float
    candidate: str
    candidate_probability: float
    positions: int
    firing: int


@dataclass(frozen=True)
class Difference(HeldoutMeasurement):
    """Verified features of one side that fire together: what is counted (METHOD 3, last point).

    kind: exclusive where most of the dictionaries that have it have it so, else rewritten.
    certainty: confirmed when the majority of dictionaries have it verified, else possible, for the
    `doubt` given in words.  seeds: the dictionaries that have it.  features: ids of its features.
    Exclusivity, its interval and the p-value are those of the strongest feature; strength, density
    and peak are of all features of the cluster together: how much of the owner's held-out variance
    stands there, on average over the dictionaries that have it (strength_low and strength_high are
    the extremes over them), on which share of the tokens it reaches a tenth of its peak, and how
    strongly it fires at most.
    histogram: how often its activation falls into each twentieth of the range from 0 to `peak`,
    where it fires.  firing: some of the places where it fires, for finding it again in another run.
    latent_scaling: (epsilon, r) of arXiv 2504.02922 where both models have one width.
    label: a name that somebody or something gave it, unverified.  kl_share: of the KL divergence
    between the two models' predictions the share at the positions where it fires; None where they
    were not compared.  said: None also where both say the same there.  changed_replies: of the
    held-out conversations with answers those in which it changes what is said: it fires where the
    two models' most likely tokens differ; None where there are none.
    """

    id: str
    certainty: Certainty
    doubt: str
    seeds: tuple[int, ...]
    features: tuple[str, ...]
    strength_low: float
    strength_high: float
    tokens: tuple[TokenCount, ...]
    contexts: tuple[Context, ...]
    histogram: tuple[int, ...]
    firing: tuple[Firing, ...]
    description: Description
    effect: Effect | None = None
    latent_scaling: tuple[float, ...] = ()
    label: str = ""
    kl_share: float | None = None
    said: Said | None = None
    changed_replies: Share | None = None

    def with_id(self, name: str) -> Difference:
        """The same with another id."""
        return dataclasses.replace(self, id=name)

    @property
    def confirmed(self) -> bool:
        return self.certainty == "confirmed"
