"""What would decide an inconclusive verdict: more dictionaries, or more text, and how many."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pytest_crossdiff.recurrence import deciding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.gate.verdict import Verdict
    from pytest_crossdiff.result import Difference, Result

MOST = 30
"""Times the text, beyond which more of it is no advice."""


def advice(result: Result, verdict: Verdict, threshold: float) -> Iterator[str]:
    """Settings that would probably turn `verdict` into a pass or a failure.

    threshold: the exclusivity that a difference has to exceed.
    """
    possible = [d for side in verdict.open for d in result.of(side.side, "possible")]
    some = [d for d in possible if d.exclusivity_low > threshold]
    if some:
        trained = len(result.training.seeds)
        wanted = max(deciding(len(d.seeds), trained) for d in some)
        yield f"crossdiff_seeds = {wanted} (now {trained}): as many have to have it, or not"
    rest = [d for d in possible if d not in some]
    if rest:
        factor = max(text(d, threshold) for d in rest)
        if factor <= MOST:
            yield f"about {factor:.1f} times the text (crossdiff_tokens, and texts to fill them)"
        else:
            yield "hardly more text: the exclusivity lies too near the threshold"


def text(difference: Difference, threshold: float) -> float:
    """How many times the text would bring the interval of its exclusivity off the threshold, if
    the estimate stays: an interval's width falls with the root of the number of documents.
    """
    distance = difference.exclusivity - threshold
    reach = (
        difference.exclusivity - difference.exclusivity_low
        if distance > 0
        else difference.exclusivity_high - difference.exclusivity
    )
    return math.inf if distance == 0 else (reach / distance) ** 2
