"""What a run measured: plain, immutable, JSON in and out.

Every verdict, message and report is drawn from a `Result`; nothing here decides anything.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

from pytest_crossdiff.errors import StoreError

SCHEMA = 1
"""Version of the stored form; a change in meaning or shape raises it, older results are re-made."""

Side = Literal["baseline", "candidate"]
SIDES: tuple[Side, Side] = ("baseline", "candidate")


@dataclass(frozen=True)
class Context:
    """A place in the held-out text where a difference fires.

    `before`, `token` and `after` are pieces of the text as the owner model read it; `activation` is
    in units of the owner's root-mean-square activation norm; `band` says which part of the
    difference's own range this example was taken from, e.g. `"top"` or `"50-75 %"`.
    """

    document: str
    before: str
    token: str
    after: str
    activation: float
    band: str


@dataclass(frozen=True)
class TokenCount:
    """How often a difference fires on a token text, and how often that token occurs (held-out)."""

    token: str
    fired: int
    occurs: int


@dataclass(frozen=True)
class Feature:
    """One exclusive dictionary feature and what the held-out test says of it (METHOD 3 and 4).

    exclusivity: 1 - R2(other) / R2(own), with its bootstrap interval over documents.
    p_value: of "exclusivity is not above the threshold", before the correction for many features.
    strength: share of the owner's held-out variance that goes unexplained without the feature.
    density: share of held-out tokens on which it fires.  peak: its largest activation in units of
    the root-mean-square norm.  documents: held-out documents in which it fires.
    rejected: why it is not a difference, "" when it is verified.
    """

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

    @property
    def verified(self) -> bool:
        return not self.rejected


@dataclass(frozen=True)
class Difference:
    """Verified features of one side that fire together: what is counted (METHOD 3, last point).

    Exclusivity, its interval and the p-value are those of the strongest feature; strength, density
    and peak are joint: all features of the cluster removed or fired together.
    """

    id: str
    side: Side
    features: tuple[int, ...]
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
    tokens: tuple[TokenCount, ...]
    contexts: tuple[Context, ...]


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
    """The crosscoder and how its training went; `loss` holds at most 200 points of the curve."""

    architecture: str
    shared: int
    baseline_only: int
    candidate_only: int
    k: int
    steps: int
    seed: int
    dead: int
    loss: tuple[float, ...]


@dataclass(frozen=True)
class Result:
    """Everything a verdict, a message or a report is drawn from."""

    schema: int
    key: str
    baseline: ModelFacts
    candidate: ModelFacts
    corpus: CorpusFacts
    training: Training
    baseline_total_strength: float
    candidate_total_strength: float
    differences: tuple[Difference, ...]
    features: tuple[Feature, ...]
    settings: dict[str, str]
    versions: dict[str, str]
    seconds: dict[str, float]

    def of(self, side: Side) -> tuple[Difference, ...]:
        """The differences that only `side` has, strongest first."""
        return tuple(d for d in self.differences if d.side == side)

    def total_strength(self, side: Side) -> float:
        """The joint strength of all differences of `side`, between 0 and 1."""
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
            return typing.cast("Result", _build(cls, data))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"a stored result is malformed: {error}") from error


def _build(kind: Any, value: Any) -> Any:
    """Turn parsed JSON into `kind`, following its annotations."""
    origin = typing.get_origin(kind)
    if origin is tuple:
        return tuple(_build(typing.get_args(kind)[0], v) for v in value)
    if isinstance(origin, type) and issubclass(origin, dict):
        return {k: _build(typing.get_args(kind)[1], v) for k, v in value.items()}
    if origin in (Literal, typing.Union, types.UnionType):
        return value
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return typing.cast("Any", kind)(
            **{f.name: _build(hints[f.name], value[f.name]) for f in dataclasses.fields(kind)}
        )
    return float(value) if kind is float else value
