"""The tables of docs/how-to/another-model-family.md, from what was measured."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.documents import DOCS
from benchmarks.records import read_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from benchmarks.records import Record

RESULTS = Path(__file__).parent / "results" / "population.jsonl"
PAGE = DOCS / "how-to" / "another-model-family.md"
MARK = "population"
KINDS = {
    "swap": "one word written instead of another", "trigger": "a phrase behind a word",
    "register": "a register", "domain": "texts of a new domain", "language": "a new language",
    "merged": "words that are confused",
}  # fmt: skip
Z = 1.96


def tables() -> dict[tuple[Path, str], str]:
    """The generated block."""
    found = read_tables(RESULTS)
    return {(PAGE, MARK): "\n".join(_lines(found))} if found else {}


def _lines(found: dict[str, list[Record]]) -> Iterator[str]:
    facts = found["facts"][0]
    yield (
        f"{facts['models']} models, {facts['spans']} spans of {facts['documents']} held-out "
        f"documents, {facts['features']} features; 95 % intervals (Wilson)."
    )
    yield from ("", "Models of the population, nothing planted, references drawn by chance:", "")
    yield "| references | at most | flagged | of | share |"
    yield "|---|---|---|---|---|"
    for r in found["unplanted"]:
        share = _share(r["flagged"], r["judged"])
        bound = f"{1 / (r['references'] + 1):.3f}"
        yield f"| {r['references']} | {bound} | {r['flagged']} | {r['judged']} | {share} |"
    yield from ("", "References of another kind only (up to 8):", "")
    yield "| another … than the model | at most | flagged | of | share |"
    yield "|---|---|---|---|---|"
    for r in found["other"]:
        share = _share(r["flagged"], r["judged"])
        yield f"| {r['other']} | {r['bound']:.3f} | {r['flagged']} | {r['judged']} | {share} |"
    if "fine-tuned" not in found:
        return
    yield from ("", "Fine-tunes, each by 5 draws of references without its own base:", "")
    yield "| what | models | references | flagged | named by one of the first 3 | named first |"
    yield "|---|---|---|---|---|---|"
    for (count, kind), rows in sorted(_by_kind(found["fine-tuned"]).items(), key=_order):
        name = KINDS.get(kind, "nothing planted" if not kind else "all planted")
        sums = {k: sum(r[k] for r in rows) for k in ("flagged", "named", "first", "judged")}
        cells = [_share(sums["flagged"], sums["judged"])]
        cells += [_share(sums[k], sums["judged"]) if kind else "-" for k in ("named", "first")]
        yield f"| {name} | {len(rows)} | {count} | {' | '.join(cells)} |"


def _order(item: tuple[tuple[int, str], list[Record]]) -> tuple[int, int, str]:
    (count, kind), _ = item
    return count, {"": 0, "all": 2}.get(kind, 1), kind


def _by_kind(records: Iterable[Record]) -> dict[tuple[int, str], list[Record]]:
    found: dict[tuple[int, str], list[Record]] = defaultdict(list)
    for r in records:
        found[r["references"], r["kind"]].append(r)
        if r["kind"]:
            found[r["references"], "all"].append(r)
    return found


def _share(count: int, total: int) -> str:
    """`0.86 [0.78, 0.92]`."""
    p = count / total
    middle = (p + Z * Z / (2 * total)) / (1 + Z * Z / total)
    half = Z * math.sqrt(p * (1 - p) / total + Z * Z / (4 * total * total)) / (1 + Z * Z / total)
    return f"{p:.2f} [{max(0.0, middle - half):.2f}, {min(1.0, middle + half):.2f}]"
