"""Accepted fine-tunes as references of a real language model: does a candidate change more than an
ordinary fine-tune does?
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.assistants.family import CHANGES
from benchmarks.documents import DOCS
from benchmarks.records import read_tables, write_tables
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.engine.population.stored import load_or_judge
from pytest_crossdiff.gate.population import describe_feature
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.text import number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.assistants.family import Family

RESULTS = Path(__file__).parent / "results" / "references.jsonl"
PAGE, BLOCK = DOCS / "how-to" / "another-model-family.md", "accepted fine-tunes"
ACCEPTED = tuple(f"own-answers-{seed}" for seed in range(5))
"""Fine-tunes on the model's own answers, with other seeds."""
CANDIDATES = ("own-answers-5", "refusal-medical", "tone-curt")
NAMED = 3
Row = dict[str, Any]


def measure(family: Family) -> None:
    """Judge each candidate by the accepted ones; what is in the cache is not read again."""
    folders = {change.name: str(family.folder(change)) for change in CHANGES
               if change.name in (*ACCEPTED, *CANDIDATES)}  # fmt: skip
    rows = []
    for candidate in CANDIDATES:
        settings = Settings(
            baseline=str(family.base),
            candidate=folders[candidate],
            corpus=str(family.corpus),
            references=tuple(folders[name] for name in ACCEPTED),
            tokens=40_000,
            layer="output",
            cache_dir=str(family.root / "cache"),
        )
        found = load_or_judge(plan(settings), SilentProgress())
        judged = found.population.of("candidate") if found.population else None
        assert found.population is not None, found.reason
        assert judged is not None, "there are five references"
        rows.append(
            {
                "candidate": candidate,
                "references": judged.references,
                "documents": found.population.documents,
                "largest": round(judged.largest, 3),
                "threshold": round(judged.threshold, 3),
                "flagged": judged.flagged,
                "named": [describe_feature(feature) for feature in judged.features[:NAMED]],
            }
        )
        print(rows[-1], flush=True)
    write_tables(RESULTS, {"candidates": rows})


def tables() -> dict[tuple[Path, str], str]:
    """The generated block, by its page and name."""
    return {(PAGE, BLOCK): "\n".join(_lines(read_tables(RESULTS)["candidates"]))}


def _lines(rows: list[Row]) -> Iterator[str]:
    yield "| candidate | deviation | largest of a reference | flagged | named first |"
    yield "|---|---|---|---|---|"
    for row in rows:
        flagged = "yes" if row["flagged"] else "no"
        figures = f"{number(row['largest'])} | {number(row['threshold'])} | {flagged}"
        yield f"| {row['candidate']} | {figures} | {'; '.join(row['named'])} |"
