"""What the terminal shows of a pair: small, plain, and able to travel between test processes.

All of it is drawn from the report, so the terminal, JUnit and annotations say what that says.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_crossdiff.gate.check import Check
from pytest_crossdiff.gate.metric_budgets import METRICS, SURPRISING
from pytest_crossdiff.report import message
from pytest_crossdiff.report.acceptance import Acceptance
from pytest_crossdiff.report.conversations import conversation_notes
from pytest_crossdiff.report.distance import model_distance
from pytest_crossdiff.report.layers import LayerSide, MeasuredLayer
from pytest_crossdiff.report.output.in_short import output_in_short, replies_in_short
from pytest_crossdiff.report.output.metrics import output
from pytest_crossdiff.report.output.replies import replies
from pytest_crossdiff.report.population import describe_population
from pytest_crossdiff.results.result import build
from pytest_crossdiff.results.wording import (
    behaviour,
    describe_accounting,
    describe_difference,
    workflow_parts,
)
from pytest_crossdiff.store.digest import digest
from pytest_crossdiff.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pytest_crossdiff.report.document import Report
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.output import Estimate, OutputMetrics
    from pytest_crossdiff.results.result import Result


@dataclass(frozen=True)
class Model:
    """One model of the pair.  coverage: share of its tokens that are aligned.  has: what the other
    hasn't.  strongest: a line for each confirmed difference.
    """

    reference: str
    coverage: float
    has: LayerSide
    strongest: tuple[str, ...]

    @classmethod
    def of(cls, counted: Result, has: LayerSide) -> Model:
        """The summary of the model that is one side of `counted`."""
        facts = counted.model(has.side)
        differences = sorted(counted.of(has.side), key=lambda d: -d.strength)
        lines = tuple(_named(d, counted) for d in differences)
        return cls(facts.reference, facts.token_coverage, has, lines)


def _named(difference: Difference, result: Result) -> str:
    """What both models say where it is active, or else where that is."""
    words = describe_difference(difference)
    if difference.said is not None or any(result.predicted_tokens(difference)):
        label = f"{visible(difference.label)} (unverified); " if difference.label else ""
        words = label + behaviour(difference, result)
    return f"{visible(difference.id)}  {words}"


@dataclass(frozen=True)
class PairSummary:
    """A measured pair and the verdicts drawn on it.  models: the baseline, the candidate.
    seconds: of computing it, back then or now.

    output: how much the predictions differ, or why that is unknown.  output_numbers: the same,
    by name, for machines.  layer_group: the same for measurements that differ in nothing but the
    layers.

    output_in_short, replies_in_short: what matters most of these, "" where they weren't measured.
    """

    key: str
    models: tuple[Model, Model]
    corpus: str
    train_pairs: int
    heldout_pairs: int
    seconds: float
    cached: bool
    layer_group: str
    controls: str
    model_distance: str
    out_of_distribution: str
    notes: tuple[str, ...]
    output: str
    output_numbers: dict[str, str]
    output_in_short: str
    replies: str
    replies_in_short: str
    accounting: str
    workflow: tuple[tuple[str, str], ...]
    conversations: tuple[str, ...]
    references: str
    checks: tuple[Check, ...]
    accepted: tuple[Acceptance, ...]

    @classmethod
    def of(cls, report: Report) -> PairSummary:
        """The summary of `report`."""
        counted = report.counted
        baseline, candidate = (Model.of(counted, side) for side in report.sides)
        return cls(
            counted.key,
            (baseline, candidate),
            counted.corpus.source,
            counted.corpus.train_pairs,
            counted.corpus.heldout_pairs,
            sum(counted.seconds.values()),
            report.cached,
            _layer_group(counted),
            message.controls(counted),
            model_distance(counted),
            message.out_of_distribution(counted),
            report.notes,
            output(counted) or counted.no_output,
            _output_numbers(counted),
            output_in_short(counted),
            replies(counted),
            replies_in_short(counted),
            describe_accounting(counted),
            workflow_parts(counted.workflow) if counted.workflow else (),
            conversation_notes(counted),
            describe_population(counted),
            report.checks,
            report.accepted,
        )

    def merged(self, other: PairSummary) -> PairSummary:
        """The pair as several tests or processes saw it."""
        return dataclasses.replace(
            self,
            cached=self.cached and other.cached,
            checks=tuple(dict.fromkeys((*self.checks, *other.checks))),
            accepted=tuple(dict.fromkeys((*self.accepted, *other.accepted))),
        )

    def with_check(self, check: Check) -> PairSummary:
        """The pair with one more verdict."""
        return self.merged(dataclasses.replace(self, checks=(check,)))

    def with_test(self, test: str) -> PairSummary:
        """The pair with all verdicts as those of `test`."""
        checks = (dataclasses.replace(check, test=test) for check in self.checks)
        return dataclasses.replace(self, checks=tuple(checks))


def _output_numbers(result: Result) -> dict[str, str]:
    output, said = result.output, METRICS[SURPRISING].of(result)
    found: dict[str, Estimate | None] = {"surprising_replies": said} if said is not None else {}
    if output is not None:
        found |= _of_output(output)
    return {
        f"{name}{end}": f"{value:.6g}"
        for name, of in found.items()
        if of is not None
        for end, value in (("", of.value), ("_low", of.low), ("_high", of.high))
        if value is not None
    }


def _of_output(output: OutputMetrics) -> dict[str, Estimate | None]:
    return {
        "kl": output.kl,
        "kl_p99": output.kl_percentiles.get("99"),
        "same_top": output.same_top,
        "probability_change_rms": output.probability_change_rms,
        "perplexity_ratio": output.perplexity_ratio,
        "baseline_loss": output.baseline_loss,
        "candidate_loss": output.candidate_loss,
    }


def _layer_group(result: Result) -> str:
    # Models and texts go by their digests: a shared cache was filled where paths are others.
    named = ("baseline", "candidate", "corpus")
    settings = {
        k: v for k, v in result.settings.items() if k not in named and not k.endswith("layer")
    }
    return digest(
        [settings, result.baseline.digest, result.candidate.digest, result.corpus.digest]
    )[:16]


def merge(into: dict[str, PairSummary], new_pairs: Iterable[PairSummary]) -> None:
    """Add `new_pairs` to what is known of each pair."""
    for pair in new_pairs:
        into[pair.key] = into[pair.key].merged(pair) if pair.key in into else pair


def to_json(pairs: Iterable[PairSummary]) -> str:
    """`pairs` as text that any test report can carry."""
    return json.dumps([*pairs], default=vars)


def from_json(text: str) -> tuple[PairSummary, ...]:
    """The reverse of `to_json`."""
    pairs: tuple[PairSummary, ...] = build(tuple[PairSummary, ...], json.loads(text))
    return pairs


def compare_layers(
    key: str, pairs: Iterable[PairSummary], pages: Mapping[str, str]
) -> tuple[MeasuredLayer, ...]:
    """The layers at which the pair with the result `key` was measured, from the first block up; ()
    where it was at one only.

    pages: names of report files by key of the result.
    """
    known = {pair.key: pair for pair in pairs}
    if key not in known:
        return ()
    alike = [pair for pair in known.values() if pair.layer_group == known[key].layer_group]
    if len(alike) < 2:
        return ()
    alike.sort(key=lambda pair: (*(model.has.layer for model in pair.models), pair.key))
    return tuple(_layer(pair, pages.get(pair.key, "")) for pair in alike)


def _layer(pair: PairSummary, page: str) -> MeasuredLayer:
    statuses = dict.fromkeys(check.status for check in pair.checks)
    return MeasuredLayer(pair.key, tuple(model.has for model in pair.models), tuple(statuses), page)
