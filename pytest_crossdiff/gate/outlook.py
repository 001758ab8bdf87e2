"""What would decide an inconclusive verdict: more dictionaries, or more text, and how many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_crossdiff.recurrence import deciding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.gate.verdict import Verdict
    from pytest_crossdiff.result import Result

MOST = 30
"""Times the text, beyond which more of it is no advice."""


def advice(result: Result, verdict: Verdict) -> Iterator[str]:
    """Settings that would probably turn `verdict` into a pass or a failure."""
    threshold = float(result.settings.get("exclusivity", 0.5))
    min_r2 = float(result.settings.get("min_r2", 0.25))
    possible = [d for side in verdict.open for d in result.of(side.side, "possible")]
    trained = len(result.training.seeds)
    some = [
        d
        for d in possible
        if (d.r2_own_low >= min_r2 if d.kind == "rewritten" else d.exclusivity_low > threshold)
    ]
    if some:
        wanted = max(deciding(len(d.seeds), trained) for d in some)
        yield f"crossdiff_seeds = {wanted} (now {trained}): as many have to have it, or not"
    rest = [d for d in possible if d not in some]
    if rest:
        factor = max(
            more(d.r2_own, d.r2_own_low, 1.0, min_r2)
            if d.kind == "rewritten"
            else more(d.exclusivity, d.exclusivity_low, d.exclusivity_high, threshold)
            for d in rest
        )
        if factor <= MOST:
            yield f"about {factor:.1f} times the text (crossdiff_tokens, and texts to fill them)"
        else:
            yield "hardly more text: the estimate lies too near the threshold"


def more(estimate: float, low: float, high: float, threshold: float) -> float:
    """How many times the text would bring an interval off the threshold, if the estimate stays: its
    width falls with the root of the number of documents.
    """
    distance = estimate - threshold
    reach = estimate - low if distance > 0 else high - estimate
    return math.inf if distance == 0 else (reach / distance) ** 2
