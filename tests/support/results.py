"""Results made up for tests: every number is chosen, nothing is measured."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from pytest_crossdiff.gate.accepted_file import Entry
from pytest_crossdiff.gate.fingerprint import Fingerprint
from pytest_crossdiff.gate.recognition import RecognisedDifference, Recognition, State
from pytest_crossdiff.gate.slot import Slot
from pytest_crossdiff.results.controls import Controls
from pytest_crossdiff.results.difference import (
    Certainty,
    Context,
    Description,
    Difference,
    Feature,
    Firing,
    Kind,
    Span,
    TokenCount,
)
from pytest_crossdiff.results.output import ChangedPosition, Estimate, OutputMetrics, SliceMetrics
from pytest_crossdiff.results.result import SCHEMA, CorpusFacts, ModelFacts, Result, Training

if TYPE_CHECKING:
    from pytest_crossdiff.results.replies import Replies
    from pytest_crossdiff.sides import Side


def make_context(
    token: str = " token",
    before: str = "some text before the",
    after: str = " and some after it",
    *,
    band: str = "top",
    activation: float = 2.0,
) -> Context:
    spans = (Span(len(before), len(before) + len(token), activation, 0.1),)
    return Context("document 1", before, token, after, activation, 0.1, band, spans)


def make_difference(
    name: str = "C1",
    side: Side = "candidate",
    *,
    strength: float = 0.01,
    tokens: tuple[str, ...] = (" token",),
    contexts: tuple[Context, ...] | None = None,
    certainty: Certainty = "confirmed",
    kind: Kind = "exclusive",
) -> Difference:
    return Difference(
        id=name,
        side=side,
        kind=kind,
        certainty=certainty,
        doubt="" if certainty == "confirmed" else "in 1 of 3 dictionaries",
        seeds=(0,),
        features=("0.1", "0.2"),
        exclusivity=0.93,
        exclusivity_low=0.88,
        exclusivity_high=0.96,
        p_value=0.001,
        r2_own=0.9,
        r2_own_low=0.8,
        r2_other=0.06,
        strength=strength,
        strength_low=strength * 0.9,
        strength_high=strength * 1.1,
        density=0.012,
        peak=3.5,
        documents=12,
        tokens=tuple(TokenCount(token, 9, 10) for token in tokens),
        contexts=(make_context(),) if contexts is None else contexts,
        histogram=(9, 4, 2, 1),
        firing=(Firing("document 1", "p" * 16, 25, 2.0),),
        description=Description(words=(("word", 12.0),)),
    )


def make_feature(
    index: int = 1,
    side: Side = "candidate",
    *,
    exclusivity: float = 0.3,
    strength: float = 0.002,
    density: float = 0.01,
    rejected: str = "the other predicts it too: R² 0.70",
) -> Feature:
    return Feature(
        seed=0,
        index=index,
        side=side,
        kind="exclusive",
        exclusivity=exclusivity,
        exclusivity_low=exclusivity - 0.05,
        exclusivity_high=exclusivity + 0.04,
        p_value=0.2,
        r2_own=0.8,
        r2_own_low=0.7,
        r2_other=0.8 * (1 - exclusivity),
        strength=strength,
        density=density,
        peak=3.0,
        documents=9,
        rejected=rejected,
        undecided=False,
    )


def make_model(
    reference: str = "org/model",
    *,
    layer: int = 6,
    fve: float = 0.8,
    coverage: float = 0.97,
    unmapped: float = 0.05,
    required_exclusivity: float = 0.5,
) -> ModelFacts:
    return ModelFacts(
        reference=reference,
        digest="d" * 64,
        architecture="LlamaForCausalLM",
        layer=layer,
        layers=12,
        width=64,
        dtype="float32",
        tokens=1100,
        special=100,
        outliers=3,
        truncated=0,
        characters=4000,
        aligned_tokens=round(1000 * coverage),
        aligned_characters=3900,
        fve=fve,
        unmapped=unmapped,
        required_exclusivity=required_exclusivity,
        median_norm=10.0,
    )


def make_result(
    *differences: Difference,
    key: str = "key",
    baseline: ModelFacts | None = None,
    candidate: ModelFacts | None = None,
    baseline_strength: float | None = None,
    candidate_strength: float | None = None,
    corpus: str = "builtin:pydoc",
    controls: Controls | None = None,
    features: tuple[Feature, ...] = (),
    output: OutputMetrics | None = None,
    no_output: str = "",
    replies: Replies | None = None,
    no_replies: str = "",
) -> Result:
    """A result with these differences; joint strengths are their sums unless given."""

    def total(side: Side) -> float:
        return round(sum(d.strength for d in differences if d.side == side), 9)

    return Result(
        schema=SCHEMA,
        key=key,
        baseline=baseline or make_model("org/old"),
        candidate=candidate or make_model("org/new"),
        corpus=CorpusFacts(corpus, "c" * 64, 60, 50, 4, 6, 50, 15, 700, 300, 0),
        training=Training(
            "dfc", 200, 10, 10, 24, 500, (0, 1, 2), (2, 0, 1), ((1.0, 0.5), (1.0, 0.5), (1.0, 0.6))
        ),
        controls=controls or Controls(),
        baseline_total_strength=total("baseline")
        if baseline_strength is None
        else baseline_strength,
        candidate_total_strength=(
            total("candidate") if candidate_strength is None else candidate_strength
        ),
        differences=differences,
        features=features,
        settings={},
        versions={},
        seconds={"harvest": 30.0, "train": 40.0},
        output=output,
        no_output=no_output,
        replies=replies,
        no_replies=no_replies,
    )


def make_output(
    kl: tuple[float, float | None, float | None] = (0.012, 0.01, 0.015),
    same_top: tuple[float, float | None, float | None] = (0.94, 0.92, 0.96),
    *,
    perplexity_ratio: tuple[float, float | None, float | None] = (1.01, 0.99, 1.03),
) -> OutputMetrics:
    """Metrics of two models with one vocabulary, on 1,300 tokens of 30 documents."""
    tail, change = Estimate(0.125, 0.07, 0.18), Estimate(-0.001, -0.002, 0.0)
    ratio = Estimate(*perplexity_ratio)
    slices = (
        SliceMetrics("chat", 20, 900, Estimate(0.02, 0.01, 0.03), Estimate(0.9, 0.88, 0.92), ratio),
        SliceMetrics("code", 10, 400, Estimate(0.001, 0.0, 0.002), Estimate(1.0, 1.0, 1.0), ratio),
    )
    largest = ChangedPosition(
        "document 7", "chat", "Can you tell me which", " medicine", 3.2, " of", 0.61, "I", 0.72
    )
    return OutputMetrics(
        unit="token",
        documents=30,
        positions=1300,
        kl=Estimate(*kl),
        kl_percentiles={"50": Estimate(0.005, 0.004, 0.006), "99": tail},
        same_top=Estimate(*same_top),
        probability_change=change,
        probability_change_rms=Estimate(0.02, 0.017, 0.026),
        probability_change_percentiles={"1": Estimate(-0.05, -0.07, -0.04)},
        log_probability_change=change,
        log_probability_change_rms=Estimate(0.15, 0.14, 0.17),
        perplexity_ratio=ratio,
        baseline_loss=Estimate(4.09, 3.95, 4.26),
        candidate_loss=Estimate(4.1, 3.95, 4.27),
        slices=slices,
        largest=(largest,),
    )


def make_entry(**given: Any) -> Entry:
    values: dict[str, Any] = {
        "id": "c-00000001", "side": "candidate", "slot": Slot("texts", "0.5", "0.5"),
        "seen_as": "C1", "baseline": "org/old", "candidate": "org/new",
        "strength": 0.01, "description": "", "tokens": (),
        "contexts": (),
        "reason": "wanted", "author": "Ann", "date": datetime.date(2026, 1, 2), "expires": None,
        "fingerprint": Fingerprint(300, 1.0, {}),
    }  # fmt: skip
    return Entry(**values | given)


def make_recognised(
    difference: str, state: State = "accepted", growth: float = 1.0, **entry: Any
) -> RecognisedDifference:
    return RecognisedDifference(difference, make_entry(**entry), 0.9, growth, state)


def make_recognition(*found: RecognisedDifference, missing: tuple[Entry, ...] = ()) -> Recognition:
    return Recognition(found, missing)
