"""What a run measured: plain, immutable, JSON in and out.

Every verdict, message and report is drawn from a `Result`; nothing here decides anything.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.recurrence import majority

SCHEMA = 2
"""Version of the stored form; a change in meaning or shape raises it, older results are re-made."""

Side = Literal["baseline", "candidate"]
SIDES: tuple[Side, Side] = ("baseline", "candidate")
Certainty = Literal["confirmed", "possible"]


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

    A difference keeps the 256 places where it fires that have the least `rank`: of a place whose
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
    times more often).  promoted, suppressed: tokens whose logit its direction raises or lowers most
    in the owner's own unembedding, () where the model has none.  positions: share of its firing in
    each tenth of the pieces of text.  slices: share of tokens it fires on in each part of the
    corpus.
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
class Feature:
    """One exclusive dictionary feature and what the held-out test says of it (METHOD 3 and 4).

    exclusivity: 1 - R2(other) / R2(own), with its bootstrap interval over documents.
    p_value: of "exclusivity is not above the threshold", before the correction for many features.
    strength: share of the owner's held-out variance that goes unexplained without the feature.
    density: share of held-out tokens on which it fires.  peak: its largest activation in units of
    the root-mean-square norm.  documents: held-out documents in which it fires.
    seed: of the dictionary that it is in.
    rejected: why it is not a difference, "" when it is verified.
    undecided: rejected, but more text may verify it: its interval reaches beyond the threshold.
    """

    seed: int
    index: int
    side: Side
    exclusivity: float
    exclusivity_low: float
    exclusivity_high: float
    p_value: float
    r2_own: float
    r2_other: float
    strength: float
    density: float
    peak: float
    documents: int
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
class Difference:
    """Verified features of one side that fire together: what is counted (METHOD 3, last point).

    certainty: confirmed when the majority of dictionaries have it verified, else possible, for the
    `doubt` given in words.  seeds: the dictionaries that have it.  features: ids of its features.
    Exclusivity, its interval and the p-value are those of the strongest feature; strength, density
    and peak are joint: all features of the cluster removed or fired together, on average over the
    dictionaries that have it; strength_low and strength_high are the extremes over them.
    histogram: how often its activation falls into each twentieth of the range from 0 to `peak`,
    where it fires.  firing: its strongest places, for finding it again in another run.
    latent_scaling: (epsilon, r) of arXiv 2504.02922 where both models have one width.
    label: a name that somebody or something gave it, unverified.
    """

    id: str
    side: Side
    certainty: Certainty
    doubt: str
    seeds: tuple[int, ...]
    features: tuple[str, ...]
    exclusivity: float
    exclusivity_low: float
    exclusivity_high: float
    p_value: float
    r2_own: float
    r2_other: float
    strength: float
    strength_low: float
    strength_high: float
    density: float
    peak: float
    documents: int
    tokens: tuple[TokenCount, ...]
    contexts: tuple[Context, ...]
    histogram: tuple[int, ...]
    firing: tuple[Firing, ...]
    description: Description
    effect: Effect | None = None
    latent_scaling: tuple[float, ...] = ()
    label: str = ""

    def named(self, name: str) -> Difference:
        """The same with another id."""
        return dataclasses.replace(self, id=name)

    @property
    def confirmed(self) -> bool:
        return self.certainty == "confirmed"


@dataclass(frozen=True)
class ModelFacts:
    """One model as it was read.

    tokens: harvested positions (no padding).  special: of those, left out as BOS, template and
    other special tokens.  outliers: left out as norm outliers.  truncated: characters beyond the
    model's longest input.  aligned_tokens and aligned_characters: what both tokenizers end at the
    same place, out of `tokens - special` and `characters`.  fve: fraction of variance explained,
    held-out.
    """

    reference: str
    digest: str
    architecture: str
    layer: int
    layers: int
    width: int
    dtype: str
    tokens: int
    special: int
    outliers: int
    truncated: int
    characters: int
    aligned_tokens: int
    aligned_characters: int
    fve: float
    median_norm: float

    @property
    def token_coverage(self) -> float:
        return self.aligned_tokens / max(1, self.tokens - self.special)

    @property
    def character_coverage(self) -> float:
        return self.aligned_characters / max(1, self.characters)


@dataclass(frozen=True)
class CorpusFacts:
    """The texts that were read and how they were divided."""

    source: str
    digest: str
    records: int
    documents: int
    empty: int
    duplicates: int
    sampled_documents: int
    heldout_documents: int
    train_pairs: int
    heldout_pairs: int


@dataclass(frozen=True)
class Training:
    """The crosscoders, alike but for their seeds, and how the training of each went: features that
    stopped firing, and at most 200 points of the loss curve.
    """

    architecture: str
    shared: int
    baseline_only: int
    candidate_only: int
    k: int
    steps: int
    seeds: tuple[int, ...]
    dead: tuple[int, ...]
    loss: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Spike:
    """A signal planted into one model's vectors, and whether it was found (METHOD 5).

    strength, density: as planted.  seeds: dictionaries in which it was verified.  measured: the
    strength found for it, on average over these, 0 where it was not found.
    """

    side: Side
    strength: float
    density: float
    seeds: tuple[int, ...]
    measured: float


@dataclass(frozen=True)
class NullControl:
    """The baseline held against itself, seen through a random map: nothing differs.

    found: differences reported all the same.  features, steps: of its dictionary.
    """

    found: int
    features: int
    steps: int


@dataclass(frozen=True)
class Controls:
    """What says how far a verdict can be trusted; () and None where a control was switched off."""

    spikes: tuple[Spike, ...] = ()
    null: NullControl | None = None

    def limit(self, side: Side, seeds: int) -> float | None:
        """The limit of detection: the least strength at which a spike of `side` was verified in
        the majority of the `seeds` dictionaries, as one was at every greater strength; None when
        none of the strongest was.
        """
        own = [spike for spike in self.spikes if spike.side == side]
        seen = {spike.strength for spike in own if majority(len(spike.seeds), seeds)}
        limit = None
        for strength in sorted({spike.strength for spike in own}, reverse=True):
            if strength not in seen:
                break
            limit = strength
        return limit


@dataclass(frozen=True)
class Result:
    """Everything a verdict, a message or a report is drawn from."""

    schema: int
    key: str
    baseline: ModelFacts
    candidate: ModelFacts
    corpus: CorpusFacts
    training: Training
    controls: Controls
    baseline_total_strength: float
    candidate_total_strength: float
    differences: tuple[Difference, ...]
    features: tuple[Feature, ...]
    settings: dict[str, str]
    versions: dict[str, str]
    seconds: dict[str, float]

    def of(self, side: Side, certainty: Certainty = "confirmed") -> tuple[Difference, ...]:
        """The confirmed (or the possible) differences that only `side` has, strongest first."""
        return tuple(d for d in self.differences if d.side == side and d.certainty == certainty)

    def limit_of_detection(self, side: Side) -> float | None:
        """The least strength that would have been found on `side`; None when unknown."""
        return self.controls.limit(side, len(self.training.seeds))

    def total_strength(self, side: Side) -> float:
        """The joint strength of all confirmed differences of `side`, between 0 and 1."""
        return (
            self.candidate_total_strength if side == "candidate" else self.baseline_total_strength
        )

    def model(self, side: Side) -> ModelFacts:
        return self.candidate if side == "candidate" else self.baseline

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Result:
        """Read a stored result.  Raises `StoreError` when it is of another schema or malformed."""
        try:
            data = json.loads(text)
            if data.get("schema") != SCHEMA:
                raise StoreError(
                    f"a stored result has schema {data.get('schema')!r}; this version reads "
                    f"{SCHEMA}",
                    remedy="run again: the result will be made anew",
                )
            return typing.cast("Result", build(cls, data))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"a stored result is malformed: {error}") from error


def build(kind: Any, value: Any) -> Any:
    """Turn parsed JSON into `kind`, following its annotations."""
    origin = typing.get_origin(kind)
    if origin is tuple:
        parts = typing.get_args(kind)
        kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
        return tuple(build(k, v) for k, v in zip(kinds, value, strict=True))
    if isinstance(origin, type) and issubclass(origin, dict):
        return {k: build(typing.get_args(kind)[1], v) for k, v in value.items()}
    if origin in (typing.Union, types.UnionType):
        kinds = [k for k in typing.get_args(kind) if k is not types.NoneType]
        return None if value is None else build(kinds[0], value)
    if origin is Literal:
        return value
    if dataclasses.is_dataclass(kind):
        hints = _hints(typing.cast("Any", kind))
        return typing.cast("Any", kind)(
            **{f.name: build(hints[f.name], value[f.name]) for f in dataclasses.fields(kind)}
        )
    return float(value) if kind is float else value


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    """The annotations of a dataclass; asked for anew they would take most of the time."""
    return typing.get_type_hints(kind)
