"""Output and replies on one line each, for a summary of many comparisons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.report.output.replies import replies
from pytest_crossdiff.results.wording import estimate
from pytest_crossdiff.text import percent

if TYPE_CHECKING:
    from pytest_crossdiff.results.result import Result


def output_in_short(result: Result) -> str:
    """`KL 0.18 [0.128, 0.252] nats a token, same top token 89.2 % [87.2 %, 90.8 %]`; "" where the
    predictions were not compared.
    """
    if (found := result.output) is None:
        return ""
    if found.kl is None or found.same_top is None:
        rms = estimate(found.log_probability_change_rms)
        return f"log-probability of a span changes by {rms} nats (RMS; different tokenizers)"
    return (
        f"KL {estimate(found.kl)} nats a token, same top token {estimate(found.same_top, percent)}"
    )


def replies_in_short(result: Result) -> str:
    """`2 of 5 of the candidate's are surprising to the baseline, 3 differ`, or why there are none;
    "" where the corpus asks for none.
    """
    if (found := result.replies) is None:
        return replies(result)
    changed, surprising = found.changed, found.surprising_candidate
    if not surprising.total:  # the baseline is an archive and read none
        return (
            f"{changed.count} of {changed.total} differ, {found.surprising_baseline.count} of the "
            "baseline's are surprising to the candidate"
        )
    return (
        f"{surprising.count} of {surprising.total} of the candidate's are surprising to the "
        f"baseline, {changed.count} differ"
    )
