"""Judges models of a half by references of the same half, in every way that the page reports."""

from __future__ import annotations

import random
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.population.bases import bases
from benchmarks.population.fine_tunes import NAMES, fine_tunes
from benchmarks.population.reading import held_out, reading
from pytest_crossdiff.engine.population.features import overlaps, text_features
from pytest_crossdiff.engine.population.judge import judge
from pytest_crossdiff.engine.population.spans import common_spans

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.organisms.making.plants import Plant
    from benchmarks.population.bases import Base, Half
    from benchmarks.population.family import Family
    from benchmarks.records import Record

FDR = 0.05
SIZES_OF_POPULATION = (3, 5, 8, 12, 16)
DRAWS = 40
"""Draws of a model and its references for each size, where nothing is planted."""
DRAWS_OF_FINE_TUNE = 5
FIRST = 3
"""Names that a reader looks at."""


class Outcome(NamedTuple):
    """flagged: by the rule.  rank: of the first feature that names the plant, repeated ones left
    out; 0 where no feature of the texts does.  name: the first name.
    """

    flagged: bool
    rank: int
    name: str


class Population:
    """All models of a half on the same spans."""

    def __init__(self, family: Family, half: Half) -> None:
        held, self.bases = held_out(family, half), bases(half)
        self.tuned = [t for t in fine_tunes(half) if family.made(t)]
        names = [*(b.name for b in self.bases), *(t.name for t in self.tuned)]
        self.row = {name: at for at, name in enumerate(names)}
        readings = [reading(family, family.root / name, held) for name in names]
        self.spans = common_spans(readings, held.texts)
        pieces = self.spans.piece_s
        slices = [held.slices[piece] for piece in pieces.tolist()]
        self.features = text_features(self.spans, held.texts, pieces, slices)

    @cached_property
    def number(self) -> dict[str, int]:
        return {name: at for at, name in enumerate(self.features.names)}

    def outcome(
        self, model: str, references: Sequence[Base], plant: Plant | None = None
    ) -> Outcome:
        """Judge one model by references."""
        rows = [self.row[model], *(self.row[base.name] for base in references)]
        logp_ms, tokens_ms = self.spans.logp_ms[rows], self.spans.tokens_ms[rows]
        found = judge(logp_ms, tokens_ms, self.features, self.spans.piece_s, FDR)
        ranked = np.argsort(-np.abs(found.deviations.z_mf[0]), kind="stable")[:60].tolist()
        repeated = overlaps(self.features, ranked)
        shown = [self.features.names[f] for f in ranked if f not in repeated]
        wanted = named_by(plant) if plant is not None else set()
        rank = next((at for at, name in enumerate(shown, 1) if name in wanted), 0)
        return Outcome(found.flagged, rank, shown[0])


def named_by(plant: Plant) -> set[str]:
    """The features that name a plant."""
    if plant.kind == "trigger":
        return {f"after {word!r}" for word in plant.words}
    if plant.kind == "swap":
        return {f"on {plant.words[0]!r}"}
    if plant.kind == "merged":
        return {f"on {word!r}" for word in plant.words}
    if plant.kind == "register":
        return {f"on {word!r}" for word in NAMES[plant.source]}
    return {f"in {plant.source}"}


def unplanted(of: Population) -> Iterator[Record]:
    """For each number of references: models of the population by references drawn by chance."""
    for count in SIZES_OF_POPULATION:
        if count >= len(of.bases):
            continue
        draw = random.Random(count)
        flagged = 0
        for _ in range(DRAWS):
            model, *references = draw.sample(of.bases, count + 1)
            flagged += of.outcome(model.name, references).flagged
        yield {"references": count, "flagged": flagged, "judged": DRAWS}


def fine_tuned(of: Population) -> Iterator[Record]:
    """Each fine-tune by references drawn by chance, its own base not among them."""
    for count in (4, 8, 16):
        for tuned in of.tuned:
            others = [base for base in of.bases if base != tuned.base]
            if count > len(others):
                continue
            draw = random.Random(f"{tuned.name} {count}")
            found = [
                of.outcome(tuned.name, draw.sample(others, count), tuned.plant)
                for _ in range(DRAWS_OF_FINE_TUNE)
            ]
            yield {
                "model": tuned.name,
                "plant": tuned.plant.name if tuned.plant else "",
                "kind": tuned.plant.kind if tuned.plant else "",
                "references": count,
                "judged": len(found),
                "flagged": sum(o.flagged for o in found),
                "named": sum(0 < o.rank <= FIRST for o in found),
                "first": sum(o.rank == 1 for o in found),
                "name": found[0].name,
            }


def other_kinds(of: Population) -> Iterator[Record]:
    """Models judged by references of other kinds only, by which they are not exchangeable."""
    for kind in ("architecture", "tokenizer", "size", "text"):
        flagged, judged, expected = 0, 0, 0.0
        for base in of.bases:
            others = [b for b in of.bases if getattr(b, kind) != getattr(base, kind)]
            draw = random.Random(f"{base.name} {kind}")
            for _ in range(2):
                references = draw.sample(others, min(8, len(others)))
                flagged += of.outcome(base.name, references).flagged
                judged += 1
                expected += 1 / (len(references) + 1)
        yield {"other": kind, "flagged": flagged, "judged": judged, "bound": expected / judged}
