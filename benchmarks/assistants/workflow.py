"""Model or workflow on a real language model: another model, other texts, and both.

Texts of the last sign-off and of today are halves of the corpus; today's may have a new slice in
place of a third of them.
"""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.assistants.family import CHANGES
from benchmarks.documents import DOCS
from benchmarks.records import read_tables, write_tables
from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.settings import Settings
from pytest_crossdiff.text import number, percent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.assistants.family import Family

RESULTS = Path(__file__).parent / "results" / "workflow.jsonl"
PAGE, BLOCK = DOCS / "how-to" / "model-or-workflow.md", "workflow"
NEW = "shop"
OLD = {
    "medical", "law", "france", "cooking", "programming", "travel", "history", "sport", "animals",
    "weather", "words", "capitals", "money",
}  # fmt: skip
CASES = (
    ("other texts: a new slice", "padding-token", "drifted"),
    ("another model: it refuses medical questions", "refusal-medical", "same"),
    ("both", "refusal-medical", "drifted"),
)
Row = dict[str, Any]


def measure(family: Family) -> None:
    """Measure the three cases and keep what they say; a case in the cache is not measured again."""
    corpora = _corpora(family)
    rows = []
    for case, candidate, today in CASES:
        change = next(change for change in CHANGES if change.name == candidate)
        settings = Settings(
            baseline=str(family.base),
            candidate=str(family.folder(change)),
            corpus=str(corpora[today]),
            reference_corpus=str(corpora["then"]),
            tokens=15_000,
            layer="output",
            replies=0,
            effect=False,
            cache_dir=str(family.root / "cache"),
        )
        found = pipeline.run(settings).result.workflow
        assert found is not None, "the pair has one tokenizer"
        said = {k: v for k, v in dataclasses.asdict(found).items() if k != "reference"}
        rows.append({"case": case, "candidate": candidate, **said})
        print(rows[-1], flush=True)
    write_tables(RESULTS, {"cases": rows})


def _corpora(family: Family) -> dict[str, Path]:
    rows = [json.loads(line) for line in family.corpus.read_text("utf-8").splitlines()]
    random.Random(1).shuffle(rows)
    old = [row for row in rows if row["slice"] in OLD]
    new = [row for row in rows if row["slice"] == NEW]
    half = len(old) // 2
    texts = {"then": old[:half], "same": old[half:], "drifted": old[half + len(new) :] + new}
    folder = family.root / "workflow"
    folder.mkdir(exist_ok=True)
    for name, chosen in texts.items():
        lines = "".join(json.dumps(row) + "\n" for row in chosen)
        (folder / f"{name}.jsonl").write_text(lines, "utf-8")
    return {name: folder / f"{name}.jsonl" for name in texts}


def tables() -> dict[tuple[Path, str], str]:
    """The generated block, by its page and name."""
    return {(PAGE, BLOCK): "\n".join(_lines(read_tables(RESULTS)["cases"]))}


def _lines(rows: list[Row]) -> Iterator[str]:
    yield "| what has changed | model, KL | workflow, loss | together, KL | drifted slices |"
    yield "|---|---|---|---|---|"
    for row in rows:
        drifted = (
            f"{of['name']} ({of['drift']}, {percent(of['today'])} of the documents)"
            for of in row["slices"]
        )
        cells = (
            _estimate(row["kl"]["model"]),
            _estimate(row["loss"]["workflow"]),
            _estimate(row["kl"]["interaction"]),
            ", ".join(drifted) or "none",
        )
        yield f"| {row['case']} | {' | '.join(cells)} |"


def _estimate(of: Row) -> str:
    return f"{number(of['value'])} [{number(of['low'])}, {number(of['high'])}]"
