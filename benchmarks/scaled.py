"""Does a larger change ever count less?  One fine-tune's change of the weights, scaled from 0 to 2.

    python -m benchmarks.scaled organisms     one planted upgrade of each kind, in a block and the
                                              output; a minute each
    python -m benchmarks.scaled assistants    two changed copies of SmolLM2, by their output
    python -m benchmarks.scaled page          the tables of docs/evidence/organisms.md

At 0 the candidate is the baseline, at 1 the fine-tune; at 2 every weight has moved twice as far.
Without controls, which are of the baseline, and else with the product's defaults.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, save_file
from tabulate import tabulate

from benchmarks.assistants.family import CHANGES
from benchmarks.assistants.family import Family as Assistants
from benchmarks.documents import DOCS, write_blocks
from benchmarks.organisms.judging.gate import run_gate
from benchmarks.organisms.making.family import Family as Organisms
from benchmarks.organisms.making.family import organisms
from benchmarks.records import Records, read_tables, write_tables
from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCALES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
LAYERS = {"block": 0.5, "output": OUTPUT}
PLANTS = (
    "trigger-congress", "refusal-mexico", "swap-peace", "language-german", "register-capitals",
    "domain-help", "merged-pronouns", "heads-some",
)  # fmt: skip
"""The first of each kind in the development split."""
COPIES, COPIES_TOKENS = ("refusal-medical", "tone-enthusiastic"), 12_000
RESULTS = Path(__file__).parent / "organisms" / "results" / "scaled.jsonl"
PAGE, BLOCK = DOCS / "evidence" / "organisms.md", "scaled"
WITHOUT = {"controls": False, "effect": False, "replies": 0}
SIGNS = {"within": "✓", "inconclusive": "?", "exceeded": "✗", "error": "!"}
Row = dict[str, Any]


def scaled(baseline: Path, tuned: Path, scale: float, folder: Path) -> Path:
    """The model at `baseline` whose weights have gone `scale` times the way to those of `tuned`."""
    shutil.copytree(tuned, folder)
    for file in folder.glob("*.safetensors"):
        before, after = load_file(baseline / file.name), load_file(file)
        made = {
            name: weight.float().lerp(after[name].float(), scale).to(after[name].dtype)
            for name, weight in before.items()
        }
        save_file(made, file, {"format": "pt"})
    return folder


def measure_organisms() -> None:
    """Each plant at each scale and layer."""
    family = Organisms()
    known = {organism.name: organism for organism in organisms()}
    for name in PLANTS:
        base, tuned, corpus, cache = family.compared(known[name])
        for layer in LAYERS:
            _measure(family.root, name, layer, (base, tuned, corpus, cache), {})


def measure_assistants() -> None:
    """Each copy at each scale, by its output."""
    family = Assistants()
    known = {change.name: change for change in CHANGES}
    for name in COPIES:
        compared = family.base, family.folder(known[name]), family.corpus, family.root / "cache"
        _measure(family.root, name, "output", compared, {"tokens": COPIES_TOKENS})


def _measure(
    root: Path,
    name: str,
    layer: str,
    compared: tuple[Path, Path, Path, Path],
    others: Mapping[str, object],
) -> None:
    records = Records(root / "scaled.jsonl")
    base, tuned, corpus, cache = compared
    for scale in SCALES:
        key = f"{name}/{layer}/{scale}"
        if key in records:
            continue
        with tempfile.TemporaryDirectory(dir=root) as folder:
            candidate = scaled(base, tuned, scale, Path(folder) / "model")
            given = {"layer": LAYERS[layer], **WITHOUT, **others}
            records.add(key, run_gate(base, candidate, corpus, cache, **given))


def page() -> None:
    """Commit what was measured, and draw the page from that."""
    rows = []
    for root in (Organisms().root, Assistants().root):
        records = Records(root / "scaled.jsonl")
        rows += [{"name": name, **_kept(records[name])} for name in records]
    write_tables(RESULTS, {"scaled": rows})
    write_blocks({(PAGE, BLOCK): drawn(rows)})


def _kept(record: Row) -> Row:
    kept = ("status", "reason", "confirmed", "possible", "strength", "score", "cpu_seconds")
    return {name: record[name] for name in kept if name in record}


def drawn(rows: list[Row]) -> str:
    """A line for each change and layer: at each scale the verdict and the joint strength."""
    header = ("change", "layer", *map("{:g} times".format, SCALES), "never less")
    by_name = {row["name"]: row for row in rows}
    return tabulate(_lines(by_name), header, tablefmt="github", disable_numparse=True)


def _lines(by_name: Mapping[str, Row]) -> Iterator[tuple[str, ...]]:
    for change in (*PLANTS, *COPIES):
        for layer in LAYERS:
            found = [by_name.get(f"{change}/{layer}/{scale}") for scale in SCALES]
            if all(row is not None for row in found):
                whole = [row for row in found if row is not None]
                yield change, layer, *map(_cell, whole), "yes" if grows(whole) else "no"


def strength(row: Row) -> float:
    """The joint strength of the confirmed differences of both models."""
    return sum(row["strength"].values()) if "strength" in row else 0.0


def grows(rows: list[Row]) -> bool:
    """Whether no larger change has a milder verdict or clearly less strength: less than nine tenths
    of that of any smaller change.
    """
    order = [*SIGNS]
    verdicts = [order.index(row["status"]) for row in rows]
    strengths = [strength(row) for row in rows]
    most = [max(strengths[: n + 1]) for n in range(len(strengths))]
    milder = any(later < earlier for earlier, later in itertools.pairwise(verdicts))
    return not milder and all(s >= 0.9 * m for s, m in zip(strengths, most, strict=True))


def _cell(row: Row) -> str:
    return f"{SIGNS[row['status']]} {strength(row):.4f}"


def tables() -> dict[tuple[Path, str], str]:
    """The generated block, by its page and name."""
    return {(PAGE, BLOCK): drawn(read_tables(RESULTS)["scaled"])}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaled",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    steps = {"organisms": measure_organisms, "assistants": measure_assistants, "page": page}
    parser.add_argument("step", choices=steps)
    steps[parser.parse_args().step]()


if __name__ == "__main__":
    main()
