"""What would decide an inconclusive verdict: more dictionaries, or more text, and how many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_crossdiff.results.recurrence import majority, seeds_to_decide
from pytest_crossdiff.text import plural, roughly, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.gate.verdict import Verdict
    from pytest_crossdiff.results.difference import Difference, Feature
    from pytest_crossdiff.results.result import Result

SMALLEST_P = 1e-300
NAMED = 3
"""Differences that one piece of advice names."""
READING, TRAINING, TESTING = (
    ("read baseline", "read candidate"), "train crosscoder", "verify features",
)  # fmt: skip
"""Steps of a run, as `Result.seconds` has them."""
FROM_CACHE = 1.0
"""Seconds: a step that took less had its work in the cache, and tells nothing of the cost."""
MAX_TEXT_FACTOR = 30
"""Times the text: where more than that is needed, more text is not advised."""


def advice(result: Result, verdict: Verdict, command: str = "pytest --crossdiff") -> Iterator[str]:
    """Settings that would probably turn `verdict` into a pass or a failure, and what they cost.

    More dictionaries where too few have a difference, more text where enough of them have it and
    their features are not verified.  command: runs the test; it stands in backticks at the end.
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
        cost = _cost_of_dictionaries(result, wanted - trained)
        decide = "it" if len(rare) == 1 else "them"
        yield (
            f"{_found_in(rare, trained)}; {wanted} would decide {decide}{cost}: "
            f"`{command} --crossdiff-seeds={wanted}`"
        )
    unverified = [d for d in possible if d not in rare]
    if unverified:
        times = max(text_factor(d, result) for d in unverified)
        if times <= MAX_TEXT_FACTOR:
            yield _more_text(unverified, result, math.ceil(10 * times) / 10, command)
        elif any(_limited_by_distance(d, result) for d in unverified):
            yield (
                "not more text: at this model distance only differences of higher exclusivity are "
                "confirmed"
            )
        else:
            yield "hardly more text: the estimate is too close to the threshold"


def _found_in(rare: list[Difference], trained: int) -> str:
    """`1 of 3 dictionaries has C1`, `too few of the 3 dictionaries have C1, C2 and 4 more`."""
    if len(rare) == 1:
        (d,) = rare
        have = "has" if len(d.seeds) == 1 else "have"
        return f"{len(d.seeds)} of {plural(trained, 'dictionary')} {have} {visible(d.id)}"
    return f"too few of the {plural(trained, 'dictionary')} have {_named(rare)}"


def _more_text(unverified: list[Difference], result: Result, times: float, command: str) -> str:
    tokens = _rounded_up(times * float(result.settings.get("tokens", 50_000)))
    whole = result.corpus.sampled_documents >= result.corpus.documents
    add = "add texts to the corpus, then" if whole else "read more of the corpus"
    return (
        f"about {times:.1f} times as much text would decide {_named(unverified)}"
        f"{_cost_of_text(result, times)}; {add}: `{command} --crossdiff-tokens={tokens}`"
    )


def _named(differences: list[Difference]) -> str:
    ids = ", ".join(visible(d.id) for d in differences[:NAMED])
    more = len(differences) - NAMED
    return f"{ids} and {more} more" if more > 0 else ids


def _rounded_up(value: float) -> int:
    """Two significant digits."""
    unit: int = 10 ** max(0, math.floor(math.log10(value)) - 1)
    return math.ceil(round(value / unit, 6)) * unit


def _cost_of_dictionaries(result: Result, more: int) -> str:
    """By what training and testing took in this run; "" where they came from the cache."""
    trained = len(result.training.seeds)
    training = result.seconds.get(TRAINING, 0.0)
    if training < trained * FROM_CACHE:
        return ""
    each = (training + result.seconds.get(TESTING, 0.0)) / trained
    return f", about {roughly(each * more)} more"


def _cost_of_text(result: Result, times: float) -> str:
    """By what the whole run took, "" where a part of it came from the cache."""
    parts = [result.seconds.get(name, 0.0) for name in (*READING, TRAINING)]
    if min(parts) < FROM_CACHE:
        return ""
    return f", about {roughly(sum(result.seconds.values()) * times)} in all"


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
