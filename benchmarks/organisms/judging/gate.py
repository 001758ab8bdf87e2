"""The product itself, with its defaults, on one pair; what it said, as a plain record."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.errors import CrossDiffError
from pytest_crossdiff.gate.budgets import Budgets
from pytest_crossdiff.gate.verdict import compute_verdict
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result

TOKENS = 8_000
"""The size of the corpus of each organism."""
STRONGEST, WINDOW_WORDS = 3, 2
"""Differences that are searched for the plant's name, and words around a context's token."""


def run_gate(
    baseline: Path, candidate: Path, corpus: Path, cache: Path, **others: object
) -> Record:
    """Compare two models; nothing is set but what is given here, all else is the product's default.

    A measurement that the product refuses is recorded with its reason, and is an alarm.
    """
    given: dict[str, Any] = {"corpus": str(corpus), "tokens": TOKENS, **others}
    settings = Settings(
        baseline=str(baseline), candidate=str(candidate), cache_dir=str(cache), **given
    )
    began, wall = time.process_time(), time.perf_counter()
    record: Record = {"tokens": settings.tokens}
    try:
        outcome = pipeline.run(settings)
        verdict = compute_verdict(outcome.result, Budgets.configured(settings))
    except CrossDiffError as error:
        return record | {"status": "error", "reason": str(error), "alarm": True}
    record |= {
        "status": verdict.status,
        "reason": verdict.reason,
        "alarm": verdict.status != "within",
        **facts(outcome.result),
    }
    if not outcome.cached:
        record["cpu_seconds"] = round(time.process_time() - began, 1)
        record["wall_seconds"] = round(time.perf_counter() - wall, 1)
    return record


Record = dict[str, Any]


def facts(result: Result) -> Record:
    """What of a result goes into the tables; the whole of it stays in the cache."""
    strongest = sorted(result.differences, key=lambda d: -d.strength)
    return {
        "confirmed": {side: len(result.of(side)) for side in SIDES},
        "possible": {side: len(result.of(side, "possible")) for side in SIDES},
        "strength": {side: _rounded(result.total_strength(side)) for side in SIDES},
        "limit": {side: result.limit_of_detection(side) for side in SIDES},
        "null_found": None if result.controls.null is None else result.controls.null.found,
        "score": _rounded(score(result)),
        "fve": [_rounded(result.model(side).fve) for side in SIDES],
        "pairs": [result.corpus.train_pairs, result.corpus.heldout_pairs],
        "architecture": result.training.architecture,
        "features": result.training.shared
        + result.training.baseline_only
        + result.training.candidate_only,
        "seeds": list(result.training.seeds),
        "steps": result.training.steps,
        "seconds": result.seconds,
        "out_of_distribution": result.corpus.out_of_distribution,
        "planted_signals": [
            [*(_rounded(v) for v in (s.strength, s.density, s.realised, s.measured))]
            for s in result.controls.planted_signals
        ],
        "accounting": result.accounting
        and [
            _rounded(result.accounting.differences),
            _rounded(result.accounting.confidence),
            _rounded(result.accounting.unexplained),
        ],
        "differences": [
            difference_record(d) | (promoted_words(d) if result.baseline.predictions else {})
            for d in strongest[: 2 * STRONGEST]
        ],
    }


def promoted_words(d: Difference) -> Record:
    """The words that a difference of predictions makes likelier and less likely."""
    return {"words": [*d.description.promoted[:3], *d.description.suppressed[:3]]}


def score(result: Result) -> float:
    """One number for the whole run, by which verdicts can be ranked: the strength of all that is
    confirmed or possible.
    """
    return sum(d.strength for d in result.differences)


def difference_record(d: Difference) -> Record:
    """A difference in short."""
    return {
        "id": d.id,
        "kind": d.kind,
        "certainty": d.certainty,
        "seeds": list(d.seeds),
        "strength": _rounded(d.strength),
        "density": _rounded(d.density),
        "exclusivity": [_rounded(d.exclusivity_low), _rounded(d.exclusivity_high)],
        "tokens": [t.token for t in d.tokens],
        "contexts": [[c.document, c.before[-50:], c.token, c.after[:50]] for c in d.contexts[:5]],
    }


def names_plant(record: Record, wanted: Sequence[str], source: str) -> bool:
    """Whether one of the strongest differences names the plant, by a rule fixed beforehand.

    It does when half of its first contexts have one of the `wanted` words as the token or within
    two words of it, or stand in a text of the plant's own `source`; or when one of the first three
    tokens that it fires on is such a word; or, in predictions, when one of the first three that it
    makes likelier or less likely is.
    """
    for d in sorted(record.get("differences", []), key=lambda d: -d["strength"])[:STRONGEST]:
        if any(token.strip() in wanted for token in [*d["tokens"][:3], *d.get("words", [])]):
            return True
        hits = [
            any(w in _near(context) for w in wanted)
            or bool(source and context[0].startswith(source))
            for context in d["contexts"]
        ]
        if hits and 2 * sum(hits) >= len(hits):
            return True
    return False


def _near(context: list[str]) -> list[str]:
    _, before, token, after = context
    around = (
        " ".join(before.split()[-WINDOW_WORDS:]) + token + " ".join(after.split()[:WINDOW_WORDS])
    )
    return [word.strip(".,;:()\"'") for word in around.split()] + [token.strip()]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
