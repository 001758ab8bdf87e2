"""How well accepted differences are known again after retraining, on two real pairs.

    python -m benchmarks.recognition [runs] [cache folder]

Each run trains its dictionaries from seeds of its own.  All confirmed differences of one run are
accepted, and looked for in every other run, with the code and the settings of the product.
Fetches the models of the example suite where they aren't there yet.
"""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tabulate import tabulate

from example_suite import models
from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.gate.accepted import Entry, Slot
from pytest_crossdiff.gate.fingerprint import Fingerprint
from pytest_crossdiff.gate.recognition import LEAST, one_to_one, recognise
from pytest_crossdiff.options import Settings
from pytest_crossdiff.result import SIDES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pytest_crossdiff.gate.recognition import Recognised
    from pytest_crossdiff.result import Difference, Result, Side

TEXTS = Path(models.__file__).parent / "texts"
TODAY = datetime.date(2000, 1, 1)
GROWTH = Settings().accepted_growth
SLOT = Slot("texts", "", "")


class Row(NamedTuple):
    """Sums over all ordered pairs of runs, for one side."""

    accepted: int
    strength: float
    found: tuple[Recognised, ...]
    found_strength: float
    new: int
    others: int
    as_another: int
    of_strangers: int
    strangers: int


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
        strength_high=difference.strength_high,
        tokens=tuple(t.token for t in difference.tokens),
        contexts=(),
        reason="",
        author="",
        date=TODAY,
        expires=None,
        fingerprint=Fingerprint.of(difference, result.corpus.heldout_pairs),
    )


def known(result: Result, entries: Iterable[Entry]) -> tuple[Recognised, ...]:
    """What the gate recognises in `result`."""
    return recognise(result, entries, growth=GROWTH, today=TODAY).found


def without_each(
    again: Sequence[Recognised], entries: Sequence[Entry], result: Result
) -> Iterator[tuple[Recognised, set[str]]]:
    """Each of `again`, and the differences that are recognised when its entry is taken away."""
    pairs = result.corpus.heldout_pairs
    prints = (
        {d.id: Fingerprint.of(d, pairs) for d in result.of(again[0].entry.side)} if again else {}
    )
    alike = [
        (value, e.id, name)
        for e in entries
        for name, found in prints.items()
        if (value := e.fingerprint.correlation(found)) >= LEAST
    ]
    for r in again:
        left = one_to_one(pair for pair in alike if pair[1] != r.entry.id)
        yield r, {name for _, _, name in left}


def score(results: Sequence[Result], strangers: Sequence[Entry], side: Side) -> Row:
    """Accept each run's differences of `side`, and look for them in all other runs.

    as_another: differences that pass once the entry that they were known by is taken away, because
    another entry is like them too.  strangers: entries from another pair of models.
    """
    accepted = others = new = as_another = of_strangers = 0
    strength = found_strength = 0.0
    found: list[Recognised] = []
    for first in results:
        entries = [entry(d, first) for d in first.of(side)]
        for second in results:
            if second is first:
                continue
            again = known(second, entries)
            ids = {r.difference for r in again}
            accepted += len(entries)
            strength += sum(e.strength for e in entries)
            found += again
            found_strength += sum(r.entry.strength for r in again)
            others += len(second.of(side))
            new += sum(d.id not in ids for d in second.of(side))
            as_another += sum(
                r.difference in left for r, left in without_each(again, entries, second)
            )
    for result in results:
        of_strangers += len(known(result, [e for e in strangers if e.side == side]))
    return Row(
        accepted, strength, tuple(found), found_strength, new, others, as_another, of_strangers,
        len(results) * sum(e.side == side for e in strangers),
    )  # fmt: skip


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
        )
        found.append(pipeline.run(settings).result)
        print(f"{candidate.name}: seeds from {run * seeds}", file=sys.stderr, flush=True)
    return found


def share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "none"


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    cache = sys.argv[2] if len(sys.argv) > 2 else ""
    pairs = {
        "MiniLM → its SRE fine-tune": measured(models.minilm_sre(), -1, runs, cache),
        "MiniLM → quire": measured(models.quire_032(), 0.5, runs, cache),
    }
    table = []
    every: dict[str, list[Recognised]] = {}
    for name, results in pairs.items():
        elsewhere = [
            entry(d, r) for other, (r, *_) in pairs.items() if other != name for d in r.differences
        ]
        for side in SIDES:
            row = score(results, elsewhere, side)
            every[f"{name}, {side}"] = list(row.found)
            grown = sum(r.state == "grown" for r in row.found)
            table.append(
                (
                    name,
                    side,
                    f"{sum(len(r.of(side)) for r in results) / len(results):.1f}",
                    f"{len(row.found)} of {row.accepted} ({share(len(row.found), row.accepted)})",
                    share(row.found_strength, row.strength),
                    f"{row.new} of {row.others}",
                    f"{row.as_another} of {len(row.found)}",
                    f"{row.of_strangers} of {row.strangers}",
                    f"{grown} of {len(row.found)}",
                )
            )
    headers = (
        "pair", "side", "confirmed a run", "recognised", "of strength", "new in the other run",
        "known by another entry", "strangers", "grown",
    )  # fmt: skip
    print(tabulate(table, headers, tablefmt="github", disable_numparse=True))
    for name, found in every.items():
        values = sorted(r.correlation for r in found)
        if values:
            print(
                f"{name}: correlations {values[0]:.2f} to {values[-1]:.2f}, "
                f"median {values[len(values) // 2]:.2f}"
            )


if __name__ == "__main__":
    main()
