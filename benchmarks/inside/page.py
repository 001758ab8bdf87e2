"""The tables of docs/explanation/reference-models.md on criteria inside the model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.documents import DOCS
from benchmarks.population.page import KINDS, share
from benchmarks.records import read_tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.records import Record

RESULTS = Path(__file__).parent / "results" / "inside.jsonl"
PAGE = DOCS / "explanation" / "reference-models.md"
CRITERIA = {
    "gap": "g, negated", "unread": "read by no reference", "covariance": "covariance measure",
    "z_linear": "covariance measure, linear", "z_curved": "with random hidden units",
    "z_exact": "with the truth as input",
}  # fmt: skip
TOTALS = ("benign", "planted")
NAMES = {**KINDS, "benign": "nothing planted", "planted": "all planted"}


def tables() -> dict[tuple[Path, str], str]:
    """The generated blocks."""
    found = read_tables(RESULTS)
    blocks = {}
    if "toy kinds" in found:
        blocks[PAGE, "inside, toy"] = "\n".join(_toy(found))
    if "reporting" in found:
        blocks[PAGE, "inside, population"] = "\n".join(_population(found))
        blocks[PAGE, "inside, ablation"] = "\n".join(_ablation(found))
    if "reporting lost" in found:
        blocks[PAGE, "inside, lost"] = "\n".join(_lost(found))
    return blocks


def _toy(found: dict[str, list[Record]]) -> Iterator[str]:
    yield (
        "| concept of the candidate | concepts | g, median | share that no reference reads | "
        "covariance measure rejects: linear | random hidden units | the truth as input |"
    )
    yield "|---|---|---|---|---|---|---|"
    for r in found["toy kinds"]:
        rejected = " | ".join(
            f"{r[f'rejected_{how}']:.2f}" for how in ("linear", "curved", "exact")
        )
        yield f"| {r['kind']} | {r['concepts']} | {r['gap']:.2f} | {r['unread']:.2f} | {rejected} |"
    yield ""
    aucs = ", ".join(f"{CRITERIA[r['criterion']]} {r['auc']:.2f}" for r in found["toy criteria"])
    yield f"AUC, planted against encoded differently: {aucs}."


def _population(found: dict[str, list[Record]]) -> Iterator[str]:
    yield (
        "| criterion | half | candidate | pairs | plant's features that pass | "
        "oracles that pass | other features that pass | pairs flagged | AUC, plant | AUC, oracle |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for half in ("development", "reporting"):
        for r in found.get(half, []):
            if half == "development" and r["kind"] not in TOTALS:
                continue
            cells = [_of(*r[name]) for name in ("plant", "oracle", "rest")]
            aucs = ["-" if r[name] is None else f"{r[name]:.2f}" for name in ("auc", "auc_oracle")]
            yield (
                f"| {CRITERIA[r['criterion']]} | {half} | {NAMES[r['kind']]} | {r['models']} | "
                f"{' | '.join(cells)} | {r['alarms']}: {share(r['alarms'], r['models'])} | "
                f"{' | '.join(aucs)} |"
            )


def _ablation(found: dict[str, list[Record]]) -> Iterator[str]:
    yield (
        "| half | features of fine-tunes with nothing planted | of planted ones, elsewhere | "
        "of planted ones, on the plant's places |"
    )
    yield "|---|---|---|---|"
    for half in ("development", "reporting"):
        rows = found.get(f"{half} ablation", [])
        groups = (
            [r for r in rows if r["kind"] == "benign"],
            [r for r in rows if r["kind"] != "benign" and not r["plant"]],
            [r for r in rows if r["plant"]],
        )
        cells = (
            _of(*(sum(r[name] for r in group) for name in ("first", "features")))
            for group in groups
        )
        yield f"| {half} | {' | '.join(cells)} |"


def _lost(found: dict[str, list[Record]]) -> Iterator[str]:
    yield (
        "| half | reader | AUC of features on the merged words | -g there, median | elsewhere | "
        "largest -g | is it on the merged words | largest of a reference |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for half in ("development", "reporting"):
        for r in found.get(f"{half} lost", []):
            number = r["model"].split("-")[1]
            reader = "with merged words" if r["merged"] else "its base"
            first = "yes" if r["first_on"] else "no"
            yield (
                f"| {half} | {number}, {reader} | {r['auc']:.2f} | {r['on_score']:.2f} | "
                f"{r['rest_score']:.2f} | {r['largest']:.2f} | {first} | "
                f"{r['largest_of_references']:.2f} |"
            )


def _of(count: int, total: int) -> str:
    return f"{count} of {total} ({count / total:.0%})" if total else "-"
