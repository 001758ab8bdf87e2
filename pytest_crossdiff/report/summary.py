"""What the terminal is told of a pair: small, plain, and able to travel between test processes."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_crossdiff.gate.recognition import NOTHING, without_accepted
from pytest_crossdiff.report import message
from pytest_crossdiff.report.acceptance import acceptances
from pytest_crossdiff.report.message import headline, tokens
from pytest_crossdiff.report.text import visible
from pytest_crossdiff.result import SIDES
from pytest_crossdiff.store.digest import digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_crossdiff.gate.recognition import Recognition
    from pytest_crossdiff.gate.verdict import Status, Verdict
    from pytest_crossdiff.result import Difference, ModelFacts, Result, Side


@dataclass(frozen=True)
class Check:
    """A verdict that some test asked for.  lines: a headline a side.  reason: why there is none."""

    status: Status
    lines: tuple[str, ...]
    reason: str

    @classmethod
    def of(cls, verdict: Verdict) -> Check:
        """What is to be told of `verdict`."""
        return cls(verdict.status, tuple(map(headline, verdict.sides)), verdict.reason)


@dataclass(frozen=True)
class Acceptance:
    """An entry of the accepted differences, and what became of it in this pair: "missing", or as
    in `gate.recognition`.  text: what is to be told of it.
    """

    id: str
    state: str
    text: str


@dataclass(frozen=True)
class Model:
    """One model of the pair.  fve: held-out.  coverage: share of its tokens that are aligned.

    count, possible: confirmed differences and others.  limit: of detection, None when unknown.
    strongest: a line for each confirmed one.
    """

    reference: str
    layer: int
    fve: float
    coverage: float
    count: int
    possible: int
    strength: float
    limit: float | None
    strongest: tuple[str, ...]

    @classmethod
    def of(cls, facts: ModelFacts, result: Result, side: Side) -> Model:
        """What is to be told of the model of `side`."""
        differences = sorted(result.of(side), key=lambda d: -d.strength)
        return cls(
            facts.reference,
            facts.layer,
            facts.fve,
            facts.token_coverage,
            len(differences),
            len(result.of(side, "possible")),
            result.total_strength(side),
            result.limit_of_detection(side),
            tuple(_named(d) for d in differences),
        )


def _named(difference: Difference) -> str:
    label = f"{visible(difference.label)} (unverified)  " if difference.label else ""
    return f"{difference.id}  {label}{tokens(difference)}"


@dataclass(frozen=True)
class PairSummary:
    """A measured pair and the verdicts drawn on it.  seconds: of computing it, back then or now.

    but_layers: the same for measurements that differ in nothing but the layers.
    """

    key: str
    baseline: Model
    candidate: Model
    corpus: str
    train_pairs: int
    heldout_pairs: int
    seconds: float
    cached: bool
    but_layers: str = ""
    controls: str = ""
    checks: tuple[Check, ...] = ()
    accepted: tuple[Acceptance, ...] = ()

    @classmethod
    def of(cls, result: Result, *, cached: bool, accepted: Recognition = NOTHING) -> PairSummary:
        """What is to be told of `result`, whose accepted differences don't count."""
        result = without_accepted(result, accepted)
        baseline, candidate = (Model.of(result.model(side), result, side) for side in SIDES)
        return cls(
            result.key,
            baseline,
            candidate,
            result.corpus.source,
            result.corpus.train_pairs,
            result.corpus.heldout_pairs,
            sum(result.seconds.values()),
            cached,
            _but_layers(result),
            controls=message.controls(result),
            accepted=tuple(Acceptance(*told) for told in acceptances(accepted)),
        )

    def merged(self, other: PairSummary) -> PairSummary:
        """The pair as several tests or processes saw it."""
        return dataclasses.replace(
            self,
            cached=self.cached and other.cached,
            checks=tuple(dict.fromkeys((*self.checks, *other.checks))),
            accepted=tuple(dict.fromkeys((*self.accepted, *other.accepted))),
        )

    def checked(self, verdict: Verdict) -> PairSummary:
        """The pair with one more verdict."""
        return self.merged(dataclasses.replace(self, checks=(Check.of(verdict),)))


def _but_layers(result: Result) -> str:
    settings = {k: v for k, v in result.settings.items() if not k.endswith("layer")}
    return digest(
        [settings, result.baseline.digest, result.candidate.digest, result.corpus.digest]
    )[:16]


def merge(into: dict[str, PairSummary], news: Iterable[PairSummary]) -> None:
    """Add `news` to what is known of each pair."""
    for pair in news:
        into[pair.key] = into[pair.key].merged(pair) if pair.key in into else pair


def to_json(pairs: Iterable[PairSummary]) -> str:
    """`pairs` as text that any test report can carry."""
    return json.dumps([dataclasses.asdict(pair) for pair in pairs])


def from_json(text: str) -> list[PairSummary]:
    """The reverse of `to_json`."""
    return [_pair(data) for data in json.loads(text)]


def _pair(data: dict[str, Any]) -> PairSummary:
    models: dict[str, Any] = {side: _model(data[side]) for side in SIDES}
    checks = tuple(Check(c["status"], tuple(c["lines"]), c["reason"]) for c in data["checks"])
    accepted = tuple(Acceptance(**a) for a in data["accepted"])
    return PairSummary(**(data | models | {"checks": checks, "accepted": accepted}))


def _model(data: dict[str, Any]) -> Model:
    return Model(**(data | {"strongest": tuple(data["strongest"])}))
