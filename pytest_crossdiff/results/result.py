"""What a run measured: plain, immutable, JSON in and out.

Every verdict, message and report is drawn from a `Result`; nothing here decides anything.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal

from pytest_crossdiff.errors import StoreError
from pytest_crossdiff.results.accounting import Accounting
from pytest_crossdiff.results.controls import Controls
from pytest_crossdiff.results.conversations import ConversationFacts
from pytest_crossdiff.results.difference import Certainty, Difference, Feature
from pytest_crossdiff.results.output import OutputMetrics
from pytest_crossdiff.results.population import Population
from pytest_crossdiff.results.renamed import Renamed, is_stored, stored
from pytest_crossdiff.results.replies import Replies
from pytest_crossdiff.results.tokenizers import TokenComparison
from pytest_crossdiff.results.workflow import Workflow
from pytest_crossdiff.settings.kinds import MIN_STRENGTH_BLOCK, MIN_STRENGTH_OUTPUT, OUTPUT
from pytest_crossdiff.sides import Side

SCHEMA, READABLE = 6, (5, 6)
"""Version of the stored form, and those that can be read; only names have changed since 5."""


def layer_name(layer: int, layers: int) -> str:
    """Where a model of so many blocks is read, in words: the output counts as one behind the last
    of them.  Blocks are counted from 0, as in the settings.
    """
    return OUTPUT if layer == layers else f"block {layer} of {layers}"


@dataclass(frozen=True)
class ModelFacts:
    """One model as it was read.

    layer: the block that it was read behind, or `layers` where that is what it predicts. tokens:
    harvested positions (no padding). special: of those, left out as BOS, template and other special
    tokens. outliers: left out as norm outliers. truncated: characters beyond the model's longest
    input. aligned_tokens and aligned_characters: what both tokenizers end at the same place, out of
    `tokens - special` and `characters`. fve: fraction of variance explained, held-out. unmapped:
    share of its variance that the best linear map from the other model leaves.
    required_exclusivity: what its features have to be above for a difference to be confirmed; more
    than the setting where the model distance is large.
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
    unmapped: float
    required_exclusivity: float
    median_norm: float

    least_exclusivity = Renamed("required_exclusivity")

    @property
    def layer_name(self) -> str:
        return layer_name(self.layer, self.layers)

    @property
    def predictions(self) -> bool:
        """Whether what it predicts was read."""
        return self.layer == self.layers

    @property
    def token_coverage(self) -> float:
        return self.aligned_tokens / max(1, self.tokens - self.special)

    @property
    def character_coverage(self) -> float:
        return self.aligned_characters / max(1, self.characters)


@dataclass(frozen=True)
class CorpusFacts:
    """The texts that were read and how they were divided.  out_of_distribution: texts that were
    left out because both models predict them worse than token frequencies do.  conversations: None
    without any.
    """

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
    out_of_distribution: int
    conversations: ConversationFacts | None = None

    beyond = Renamed("out_of_distribution")


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
class Result:
    """Everything a verdict, a message or a report is drawn from.

    output: how much the models' predictions differ, kept beside the stored result under a key of
    its own; None where that was not measured, for the reason `no_output`, "" where it was not asked
    for.  accounting: None where the predictions were not compared token by token, or are the same.
    replies_wanted: they were asked for, and the corpus has prompts.
    """

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
    tokenizers: TokenComparison | None = None
    output: OutputMetrics | None = None
    no_output: str = ""
    accounting: Accounting | None = None
    replies: Replies | None = None
    no_replies: str = ""
    population: Population | None = None
    no_population: str = ""
    workflow: Workflow | None = None
    no_workflow: str = ""
    replies_wanted: bool = True

    def of(self, side: Side, certainty: Certainty = "confirmed") -> tuple[Difference, ...]:
        """The confirmed (or the possible) differences that only `side` has, strongest first."""
        return tuple(d for d in self.differences if d.side == side and d.certainty == certainty)

    @property
    def least_strength(self) -> float:
        """Below which a difference was not counted."""
        given = self.settings.get("min_strength", "None")
        if given not in ("None", ""):
            return float(given)
        output = self.baseline.predictions or self.candidate.predictions
        return MIN_STRENGTH_OUTPUT if output else MIN_STRENGTH_BLOCK

    def limit_of_detection(self, side: Side) -> float | None:
        """The strength found with 80 % probability at every density; None when unknown."""
        return self.controls.limit(side)

    def total_strength(self, side: Side) -> float:
        """The joint strength of all confirmed differences of `side`, between 0 and 1."""
        return (
            self.candidate_total_strength if side == "candidate" else self.baseline_total_strength
        )

    def model(self, side: Side) -> ModelFacts:
        return self.candidate if side == "candidate" else self.baseline

    def predicted_tokens(self, difference: Difference) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What its model says there that the other doesn't, and what the other says instead; both
        () where no predictions were read.
        """
        if not self.model(difference.side).predictions:
            return (), ()
        return difference.description.promoted, difference.description.suppressed

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Result:
        """Read a stored result.  Raises `StoreError` when it is of another schema or malformed."""
        try:
            data = json.loads(text)
            if data.get("schema") not in READABLE:
                raise StoreError(
                    f"a stored result has schema {data.get('schema')!r}; this version reads "
                    f"{' and '.join(map(str, READABLE))}",
                    remedy="run again: the result will be made again",
                )
            return typing.cast("Result", build(cls, data | {"schema": SCHEMA}))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise StoreError(
                f"a stored result is malformed: {error}",
                remedy="name another one, or measure again",
            ) from error


def build(kind: Any, value: Any) -> Any:
    """Turn parsed JSON into `kind`, following its annotations; what is missing has its default.

    Raises `ValueError`, `TypeError` or `KeyError` for what is of another kind.
    """
    origin = typing.get_origin(kind)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{str(value)[:40]!r} is no list")
        parts = typing.get_args(kind)
        kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
        return tuple(build(k, v) for k, v in zip(kinds, value, strict=True))
    if isinstance(origin, type) and issubclass(origin, dict):
        return {k: build(typing.get_args(kind)[1], v) for k, v in value.items()}
    if origin in (typing.Union, types.UnionType):
        kinds = [k for k in typing.get_args(kind) if k is not types.NoneType]
        return None if value is None else build(kinds[0], value)
    if origin is Literal:
        if value not in typing.get_args(kind):
            raise ValueError(f"{value!r} is none of {typing.get_args(kind)}")
        return value
    if dataclasses.is_dataclass(kind):
        hints = _hints(typing.cast("Any", kind))
        return typing.cast("Any", kind)(
            **{
                f.name: build(hints[f.name], stored(value, f.name))
                for f in dataclasses.fields(kind)
                if f.default is dataclasses.MISSING or is_stored(value, f.name)
            }
        )
    return _scalar(kind, value)


def _scalar(kind: Any, value: Any) -> Any:
    """A text, a number or a truth value; whatever else is as it is."""
    if kind is float and type(value) in (int, float):
        return float(value)
    if kind in (str, int, bool, float) and type(value) is not kind:
        raise ValueError(f"{str(value)[:40]!r} is no {kind.__name__}")
    return value


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    """The annotations of a dataclass; asked for again they would take most of the time."""
    return typing.get_type_hints(kind)
