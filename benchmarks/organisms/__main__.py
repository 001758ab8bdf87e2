"""Build, check, measure, write down.  Everything that is there already is left as it is.

    python -m benchmarks.organisms                 all of the following, in this order
    python -m benchmarks.organisms build [SPLIT]   the base, the organisms, their checks
    python -m benchmarks.organisms gate [SPLIT]    the product on each organism, a block read
    python -m benchmarks.organisms output [SPLIT]  the same, what it predicts read
    python -m benchmarks.organisms others [SPLIT]  what one might use instead
    python -m benchmarks.organisms architectures   one dictionary of each kind, development split
    python -m benchmarks.organisms capacity        dictionaries of other sizes, development split
    python -m benchmarks.organisms apart [NAME...] the same against a model of another seed
    python -m benchmarks.organisms sweep [SPLIT]   the gate with fewer and more tokens
    python -m benchmarks.organisms seeds [SPLIT]   either with dictionaries of other seeds
    python -m benchmarks.organisms page            results, plots and tables from what was measured

SPLIT is development, earlier, previous or reporting.  CROSSDIFF_ORGANISMS names the folder where
models, records and cache are kept instead of the user's cache folder.
"""

from __future__ import annotations

import argparse
import itertools
from typing import TYPE_CHECKING

from benchmarks.organisms import collected, page
from benchmarks.organisms.judging.alternatives import alternatives
from benchmarks.organisms.judging.gate import TOKENS, run_gate
from benchmarks.organisms.making.family import OTHER_SEED, Family, organisms
from benchmarks.organisms.making.plants import Plant
from benchmarks.records import Records
from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.organisms.making.family import Organism

STEPS = (
    "build", "gate", "output", "others", "architectures", "capacity", "apart", "sweep", "seeds",
    "page",
)  # fmt: skip
ARCHITECTURES = ("dfc", "innovation")
SWEEP_TOKENS = (16_000, 4_000)
"""Besides the size that all are measured at."""
APART = (
    "language-german", "register-capitals", "domain-help",
    "refusal-mexico", "merged-pronouns", "trigger-congress",
)  # fmt: skip
"""Plants looked for against a model of another seed, one of each kind that can be named."""
CAPACITY = (
    "trigger-war", "trigger-treasury", "refusal-world", "language-german", "register-capitals",
    "domain-help", "merged-pronouns", "heads-some", "continued-60", "continued-like-a-plant",
)  # fmt: skip
"""Upgrades that are compared with dictionaries of other sizes: one of each kind that took, a second
trigger, and two benign ones.
"""
PAIRS_A_FEATURE = (40, 20, 10, 5)
"""The product has one feature for every 20 training pairs."""
OTHER_SEEDS = (10,)
"""First seeds of other dictionaries than the product's default ones."""


def main(arguments: list[str] | None = None) -> None:
    """Run the step asked for, or all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.organisms",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("step", nargs="?", choices=STEPS, metavar="STEP")
    parser.add_argument("which", nargs="*", metavar="SPLIT or NAME")
    given = parser.parse_args(arguments)
    family = Family()
    for step in [given.step] if given.step else STEPS:
        globals()[f"_{step}"](family, given.which)


def _build(family: Family, splits: list[str]) -> None:
    for organism in (o for o in organisms() if not splits or o.split in splits):
        family.corpus(organism)
        family.folder(organism)


def _gate(family: Family, splits: list[str]) -> None:
    _judge(family, splits, "gate")


def _output(family: Family, splits: list[str]) -> None:
    _judge(family, splits, "output", layer=OUTPUT)


def _judge(family: Family, splits: list[str], file: str, **settings: object) -> None:
    records = Records(family.root / f"{file}.jsonl")
    for organism in _chosen(family, splits):
        if organism.name not in records:
            records.add(organism.name, run_gate(*family.compared(organism), **settings))


def _apart(family: Family, names: list[str]) -> None:
    """The same recipe from another seed as the baseline: truly another model.  Nothing planted in
    the candidate, and plants of the development split; without controls, which are linear.
    """
    records, other = Records(family.root / "apart.jsonl"), family.base(OTHER_SEED)
    for organism in _chosen(family, ["development"]):
        if organism.name not in (names or APART):
            continue
        base, planted, corpus, cache = family.compared(organism)
        for maps, (what, model) in itertools.product(
            ("linear", "curved"), (("nothing", base), ("planted", planted))
        ):
            name = f"{organism.name}/{what}/{maps}"
            if name not in records:
                with_ = {"maps": maps, "controls": False, "effect": False}
                records.add(name, run_gate(other, model, corpus, cache, **with_))


def _others(family: Family, splits: list[str]) -> None:
    records = Records(family.root / "others.jsonl")
    for organism in _chosen(family, splits):
        if organism.name not in records:
            records.add(organism.name, alternatives(*family.compared(organism))._asdict())


def _architectures(family: Family, names: list[str]) -> None:
    """What the default architecture was chosen by: one dictionary each, without controls."""
    records = Records(family.root / "architectures.jsonl")
    for organism in _chosen(family, ["development"]):
        for architecture in ARCHITECTURES:
            name = f"{organism.name}/{architecture}"
            if name in records or (names and organism.name not in names):
                continue
            record = run_gate(
                *family.compared(organism),
                architecture=architecture,
                seeds=1,
                controls=False,
                effect=False,
            )
            records.add(name, record)


def _capacity(family: Family, names: list[str]) -> None:
    """The same with smaller and larger dictionaries, without controls."""
    records, default = Records(family.root / "capacity.jsonl"), PAIRS_A_FEATURE[1]
    for organism in _chosen(family, ["development"]):
        if organism.name not in (names or CAPACITY):
            continue
        pair, size = family.compared(organism), 0
        for pairs in (default, *(n for n in PAIRS_A_FEATURE if n != default)):
            name, chosen = f"{organism.name}/{pairs}", size * default // pairs
            if name not in records:
                with_ = {"controls": False, "effect": False, "features": chosen}
                records.add(name, run_gate(*pair, **with_))
            size = size or records[name]["features"]


def _sweep(family: Family, splits: list[str]) -> None:
    _again(family, splits, "sweep", "tokens", SWEEP_TOKENS)


def _seeds(family: Family, splits: list[str]) -> None:
    splits = splits or ["reporting"]
    _again(family, splits, "seeds", "seed", OTHER_SEEDS)
    _again(family, splits, "seeds-output", "seed", OTHER_SEEDS, layer=OUTPUT)


def _again(
    family: Family,
    splits: list[str],
    file: str,
    setting: str,
    values: tuple[int, ...],
    **others: object,
) -> None:
    """The gate once more with each value of a setting, into records of that name."""
    records = Records(family.root / f"{file}.jsonl")
    for value in values:
        for organism in _chosen(family, splits or ["earlier"]):
            name = f"{organism.name}@{value}"
            if name not in records:
                pair = family.compared(organism, value if setting == "tokens" else TOKENS)
                records.add(name, run_gate(*pair, **{setting: value}, **others))


def _page(family: Family, _: list[str]) -> None:
    collected.write(collected.collect(family))
    page.main()


def _chosen(family: Family, splits: list[str]) -> Iterator[Organism]:
    """The usable organisms of the splits, planted and benign ones in turn."""
    wanted = [o for o in organisms() if not splits or o.split in splits]
    planted = [o for o in wanted if isinstance(o.change, Plant)]
    benign = [o for o in wanted if not isinstance(o.change, Plant)]
    for i in range(max(len(planted), len(benign))):
        for organism in [*planted[i : i + 1], *benign[i : i + 1]]:
            if family.usable(organism):
                yield organism


if __name__ == "__main__":
    main()
