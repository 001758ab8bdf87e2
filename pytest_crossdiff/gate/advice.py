"""What would decide an inconclusive verdict: more dictionaries, or more text, and how many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_crossdiff.results.recurrence import majority, seeds_to_decide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.gate.verdict import Verdict
    from pytest_crossdiff.results.difference import Difference, Feature
    from pytest_crossdiff.results.result import Result

SMALLEST_P = 1e-300
MAX_TEXT_FACTOR = 30
"""Times the text: where more than that is needed, more text is not advised."""


def advice(result: Result, verdict: Verdict) -> Iterator[str]:
    """Settings that would probably turn `verdict` into a pass or a failure.

    More dictionaries where too few have a difference, more text where enough of them have it and
    their features are not verified.
    """
    for metric in verdict.metrics:
        if metric.status == "undecided":
            yield (
                f"more held-out text (crossdiff_tokens, more documents): the limit {metric.limit:g}"
                f" of {metric.name} lies inside its interval"
            )
    possible = [d for side in verdict.undecided for d in result.of(side.side, "possible")]
    trained = len(result.training.seeds)
    rare = [d for d in possible if not majority(len(d.seeds), trained)]
    if rare:
        wanted = max(seeds_to_decide(len(d.seeds), trained) for d in rare)
        yield (
            f"crossdiff_seeds = {wanted} (now {trained}): more dictionaries, to see whether most "
            "of them have it"
        )
    unverified = [d for d in possible if d not in rare]
    if unverified:
        times = max(text_factor(d, result) for d in unverified)
        if times <= MAX_TEXT_FACTOR:
            tenths = math.ceil(10 * times) / 10
            yield (
                f"about {tenths:.1f} times as much text: raise crossdiff_tokens, and add texts if "
                "the corpus is too small"
            )
        elif any(_limited_by_distance(d, result) for d in unverified):
            yield (
                "not more text: at this model distance only differences of higher exclusivity are "
                "confirmed"
            )
        else:
            yield "hardly more text: the estimate is too close to the threshold"


def text_factor(difference: Difference, result: Result) -> float:
    """How many times the text would verify it in most dictionaries, if its estimates stay."""
    of_seed: dict[int, float] = {}
    for feature in result.features:
        if feature.id in difference.features:
            times = 1.0 if feature.verified else _feature_text_factor(feature, result)
            of_seed[feature.seed] = min(times, of_seed.get(feature.seed, math.inf))
    return sorted(of_seed.values())[len(result.training.seeds) // 2]


def _limited_by_distance(difference: Difference, result: Result) -> bool:
    """Whether it is as exclusive as was asked for, but not as the models' distance asks."""
    least = result.model(difference.side).required_exclusivity
    asked = float(result.settings.get("exclusivity", 0.5))
    return difference.kind == "exclusive" and asked < difference.exclusivity <= least


def _feature_text_factor(feature: Feature, result: Result) -> float:
    """The same for an undecided feature: how far an interval reaches, and the quantile of a
    p-value, go with the root of the number of documents.
    """
    min_r2 = float(result.settings.get("min_r2", 0.25))
    if feature.kind == "rewritten":
        return _interval_text_factor(feature.r2_own, feature.r2_own_low, min_r2)
    from statistics import NormalDist  # takes milliseconds, and most verdicts need no advice

    threshold = result.model(feature.side).required_exclusivity
    fdr = float(result.settings.get("fdr", 0.05))
    tested = [f for f in result.features if f.seed == feature.seed and f.r2_own >= min_r2]
    found = 1 + sum(f.verified and f.kind == "exclusive" for f in tested)
    # A p-value may be too small for a number of its own.
    now = max(feature.p_value, SMALLEST_P)
    wanted = NormalDist().inv_cdf(max(fdr * found / len(tested), SMALLEST_P))
    significant = (wanted / NormalDist().inv_cdf(now)) ** 2 if now < 0.5 else math.inf
    return max(
        _interval_text_factor(feature.exclusivity, feature.exclusivity_low, threshold), significant
    )


def _interval_text_factor(estimate: float, low: float, threshold: float) -> float:
    """How many times the text would lift the interval's lower end to the threshold."""
    distance = estimate - threshold
    return ((estimate - low) / distance) ** 2 if distance > 0 else math.inf
