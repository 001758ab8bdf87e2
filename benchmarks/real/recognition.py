"""How well accepted differences are known again after retraining, on two real pairs.

    python -m benchmarks.real.recognition [--runs 3] [--cache DIR]

Each run trains its dictionaries from seeds of its own.  All confirmed differences of one run, and
the possible ones of a pair whose distance is too large for any to be confirmed, are accepted and
looked for in every other run, with the code and the settings of the product; controls
and effects, which change no difference, are left out.
Fetches the models of the example suite where they aren't there yet.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.machine import machine
from example_suite import models
from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.gate.accepted_file import Entry
from pytest_crossdiff.gate.fingerprint import Fingerprint
from pytest_crossdiff.gate.recognition import MIN_CORRELATION, one_to_one, recognise
from pytest_crossdiff.gate.slot import Slot
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_crossdiff.gate.recognition import RecognisedDifference
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.sides import Side

TEXTS = Path(models.__file__).parent / "texts"
FILE = Path(__file__).parent / "results" / "recognition.json"
TODAY = datetime.date(2000, 1, 1)
FAR = 0.9
"""The exclusivity asked for beyond which nothing is confirmed on these pairs."""
GROWTH = Settings().accepted_growth
SLOT = Slot("texts", "", "")


def entry(difference: Difference, result: Result) -> Entry:
    """What accepting `difference` puts into the file, as far as recognition goes."""
    return Entry(
        id=f"{difference.side[0]}-{difference.id}",
        side=difference.side,
        slot=SLOT,
        seen_as=difference.id,
        baseline="",
        candidate="",
        strength=difference.strength,
        description="",
        tokens=tuple(t.token for t in difference.tokens),
        contexts=(),
        reason="",
        author="",
        date=TODAY,
        expires=None,
        fingerprint=Fingerprint.of(difference, result.corpus.heldout_pairs),
    )


def recognised_differences(
    result: Result, entries: Iterable[Entry]
) -> tuple[RecognisedDifference, ...]:
    """What the gate recognises in `result`."""
    return recognise(result, entries, growth=GROWTH, today=TODAY).found


def leave_one_out(
    recognised: Sequence[RecognisedDifference], entries: Sequence[Entry], result: Result
) -> Iterator[tuple[RecognisedDifference, set[str]]]:
    """Each of `again`, and the differences that are recognised when its entry is taken away."""
    pairs = result.corpus.heldout_pairs
    found = accepted_differences(result, recognised[0].entry.side) if recognised else ()
    prints = {d.id: Fingerprint.of(d, pairs) for d in found}
    alike = [
        (value, e.id, name)
        for e in entries
        for name, found in prints.items()
        if (value := e.fingerprint.correlation(found)) >= MIN_CORRELATION
    ]
    for r in recognised:
        left = one_to_one(pair for pair in alike if pair[1] != r.entry.id)
        yield r, {name for _, _, name in left}


def accepted_differences(result: Result, side: Side) -> tuple[Difference, ...]:
    """What is accepted: what is confirmed, or possible where the model distance is too large."""
    too_distant = result.model(side).required_exclusivity > FAR
    return result.of(side) + (result.of(side, "possible") if too_distant else ())


def score(
    results: Sequence[Result], other_pair_entries: Sequence[Entry], side: Side
) -> dict[str, Any]:
    """Accept each run's differences of `side`, look for them in all other runs, and add up.

    through_another: differences that pass once the entry that they were known by is taken away,
    because another entry is like them too.  new_with_possible: of the later ones, those that are
    new where the possible differences were accepted as well.  strangers: entries from another pair.
    """
    sums = dict.fromkeys(
        (
            *("accepted", "recognised", "accepted_strength", "recognised_strength", "grown"),
            *("later", "later_new", "new_with_possible", "through_another"),
            *("strangers", "strangers_recognised"),
        ),
        0.0,
    )
    correlations: list[float] = []
    for first in results:
        entries = [entry(d, first) for d in accepted_differences(first, side)]
        possible = [entry(d, first) for d in first.of(side, "possible")]
        for second in results:
            if second is first:
                continue
            recognised = recognised_differences(second, entries)
            ids = {r.difference for r in recognised}
            more = {r.difference for r in recognised_differences(second, [*entries, *possible])}
            passed = (
                r.difference in left for r, left in leave_one_out(recognised, entries, second)
            )
            for name, value in {
                "accepted": len(entries),
                "recognised": len(recognised),
                "accepted_strength": sum(e.strength for e in entries),
                "recognised_strength": sum(r.entry.strength for r in recognised),
                "grown": sum(r.state == "grown" for r in recognised),
                "later": len(accepted_differences(second, side)),
                "later_new": sum(d.id not in ids for d in accepted_differences(second, side)),
                "new_with_possible": sum(
                    d.id not in more for d in accepted_differences(second, side)
                ),
                "through_another": sum(passed),
            }.items():
                sums[name] += value
            correlations += (r.correlation for r in recognised)
    of_side = [e for e in other_pair_entries if e.side == side]
    sums["strangers"] = len(results) * len(of_side)
    sums["strangers_recognised"] = sum(
        len(recognised_differences(result, of_side)) for result in results
    )
    return {
        "side": side,
        "found": [len(accepted_differences(result, side)) for result in results],
        **sums,
        "correlation_quartiles": (
            np.percentile(correlations, (0, 25, 50, 75, 100)).round(3).tolist()
            if correlations
            else []
        ),
    }


def measured(candidate: Path, layer: float, runs: int, cache: str) -> list[Result]:
    """The results of MiniLM against `candidate`, with `runs` sets of seeds."""
    seeds = Settings().seeds
    found = []
    for run in range(runs):
        settings = Settings(
            baseline=str(models.minilm()),
            candidate=str(candidate),
            corpus=str(TEXTS),
            layer=layer,
            seed=run * seeds,
            cache_dir=cache,
            controls=False,
            effect=False,
        )
        found.append(pipeline.run(settings).result)
        print(f"{candidate.name}: seeds from {run * seeds}", file=sys.stderr, flush=True)
    return found


def measure(runs: int, cache: str) -> dict[str, Any]:
    """Everything, as it is committed."""
    pairs = {
        "MiniLM → its SRE fine-tune, last block": measured(models.minilm_sre(), -1, runs, cache),
        "MiniLM → quire, block 3": measured(models.quire_032(), 0.5, runs, cache),
    }
    rows = []
    for name, results in pairs.items():
        elsewhere = [
            entry(d, r) for other, (r, *_) in pairs.items() if other != name for d in r.differences
        ]
        rows += [{"pair": name, **score(results, elsewhere, side)} for side in SIDES]
    return {
        "command": "python -m benchmarks.real.recognition",
        "machine": machine(),
        "runs": runs,
        "dictionaries": Settings().seeds,
        "least_correlation": MIN_CORRELATION,
        "growth": GROWTH,
        "rows": rows,
    }


def main() -> None:
    """Measure, and write `FILE`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cache", default="", help="folder of a cache; the usual one")
    args = parser.parse_args()
    found = measure(args.runs, args.cache)
    FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
