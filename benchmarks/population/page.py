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
BY_GATE = RESULTS.with_name("by-gate.jsonl")
BY_FINE_TUNES = RESULTS.with_name("by-fine-tunes.jsonl")
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
    found, by_gate = read_tables(RESULTS), read_tables(BY_GATE)
    blocks = {(PAGE, MARK): "\n".join(_lines(found))} if found else {}
    if by_gate:
        blocks[PAGE, f"{MARK} by the gate"] = "\n".join(_lines_by_gate(by_gate))
    if by_fine_tunes := read_tables(BY_FINE_TUNES):
        lines = _lines_by_fine_tunes(by_fine_tunes["mixes"])
        blocks[PAGE, f"{MARK} by fine-tunes"] = "\n".join(lines)
    return blocks


def _lines(found: dict[str, list[Record]]) -> Iterator[str]:
    facts = found["facts"][0]
    yield (
        f"{facts['models']} models, {facts['spans']} spans of {facts['documents']} held-out "
        f"documents, {facts['features']} features; 95 % intervals (Wilson)."
    )
    yield from ("", "Models of the population, nothing planted, references drawn by chance:", "")
    yield from _unplanted(found["unplanted"])
    yield from ("", "References of another kind only (up to 8):", "")
    yield "| another … than the model | at most | judged | by the texts | by texts and words |"
    yield "|---|---|---|---|---|"
    for r in found["other"]:
        yield f"| {r['other']} | {r['bound']:.3f} | {_flagged(r)} |"
    yield from _fine_tunes(found["fine-tuned"])


def _lines_by_gate(found: dict[str, list[Record]]) -> Iterator[str]:
    facts = found["facts"][0]
    yield (
        f"{facts['spans']} spans of {facts['documents']} held-out documents, {facts['features']} "
        f"features and about {facts['words']} words; 95 % intervals (Wilson)."
    )
    yield from ("", "Nothing planted, references drawn by chance:", "")
    yield from _unplanted(found["unplanted"])
    yield from _fine_tunes(found["fine-tuned"])


def _lines_by_fine_tunes(found: list[Record]) -> Iterator[str]:
    yield (
        "| references | fine-tunes among them | at most | models of the population | "
        "fine-tunes, nothing planted | fine-tunes, planted |"
    )
    yield "|---|---|---|---|---|---|"
    for mix in dict.fromkeys((r["references"], r["fine-tunes"]) for r in found):
        rows = [r for r in found if (r["references"], r["fine-tunes"]) == mix]
        groups = [[r for r in rows if r["kind"] == kind] for kind in ("base", "benign")]
        groups.append([r for r in rows if r["kind"] not in ("base", "benign")])
        cells = [f"{_share_of_models(of)}, {len(of)} models" for of in groups]
        yield f"| {mix[0]} | {mix[1]} | {1 / (mix[0] + 1):.3f} | {' | '.join(cells)} |"


def _share_of_models(rows: list[Record]) -> str:
    """The share of draws that flag, its interval as if each model had been drawn once: the draws of
    one model are hardly independent.
    """
    flagged = sum(r["flagged"] for r in rows) / sum(r["judged"] for r in rows)
    return share(flagged * len(rows), len(rows))


def _unplanted(found: list[Record]) -> Iterator[str]:
    yield "| references | at most | judged | flagged by the texts | by texts and words written |"
    yield "|---|---|---|---|---|"
    for r in found:
        yield f"| {r['references']} | {1 / (r['references'] + 1):.3f} | {_flagged(r)} |"


def _fine_tunes(found: list[Record]) -> Iterator[str]:
    yield from ("", "Fine-tunes, each by 5 draws of references without its own base:", "")
    yield (
        "| what | models | references | flagged by the texts | by texts and words | "
        "named by one of the first 3, texts | texts and words | named first |"
    )
    yield "|---|---|---|---|---|---|---|---|"
    for (count, kind), rows in sorted(_by_kind(found).items(), key=_order):
        name = KINDS.get(kind, "nothing planted" if not kind else "all planted")
        counted = "flagged_by_texts", "flagged", "named_by_texts", "named", "first"
        sums = {k: sum(r[k] for r in rows) for k in (*counted, "judged")}
        cells = [share(sums[k], sums["judged"]) for k in counted[: None if kind else 2]]
        cells += ["-"] * (len(counted) - len(cells))
        yield f"| {name} | {len(rows)} | {count} | {' | '.join(cells)} |"


def _flagged(r: Record) -> str:
    shares = (share(r[k], r["judged"]) for k in ("flagged_by_texts", "flagged"))
    return f"{r['judged']} | {' | '.join(shares)}"


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


def share(count: float, total: int) -> str:
    """A share with its 95 % interval (Wilson), as `0.86 [0.78, 0.92]`."""
    p = count / total
    middle = (p + Z * Z / (2 * total)) / (1 + Z * Z / total)
    half = Z * math.sqrt(p * (1 - p) / total + Z * Z / (4 * total * total)) / (1 + Z * Z / total)
    return f"{p:.2f} [{max(0.0, middle - half):.2f}, {min(1.0, middle + half):.2f}]"
