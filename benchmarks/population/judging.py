"""Judges models of a half by references of the same half, in every way that the page reports."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple, Protocol

from benchmarks.population.bases import bases
from benchmarks.population.fine_tunes import NAMES, fine_tunes
from benchmarks.population.reading import held_out, reading, written
from pytest_crossdiff.engine.population.judging.deviations import written_words
from pytest_crossdiff.engine.population.judging.features import explaining, text_features
from pytest_crossdiff.engine.population.judging.judge import judge, judgement
from pytest_crossdiff.engine.population.judging.spans import common_spans
from pytest_crossdiff.engine.population.writing import WORD

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.organisms.making.plants import Plant
    from benchmarks.population.bases import Base, Half
    from benchmarks.population.family import Family
    from benchmarks.population.fine_tunes import FineTune
    from benchmarks.records import Record
    from pytest_crossdiff.engine.population.judging.deviations import Deviations
    from pytest_crossdiff.engine.population.judging.weightings import Weightings

FDR = 0.05
SIZES_OF_POPULATION = (3, 5, 8, 12, 16)
DRAWS = 40
"""Draws of a model and its references for each size, where nothing is planted."""
DRAWS_OF_FINE_TUNE = 5
FIRST = 3
"""Names that a reader looks at."""


class Outcome(NamedTuple):
    """flagged: by the rule.  by_texts: by the features of the texts alone.  names: the first of
    both, and of the texts alone.
    """

    flagged: bool
    by_texts: bool
    names: tuple[str, ...]
    names_of_texts: tuple[str, ...]


class Judges(Protocol):
    """Models of a half, and what judges each by references."""

    bases: Sequence[Base]
    tuned: Sequence[FineTune]

    def outcome(self, model: str, references: Sequence[Base]) -> Outcome: ...


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
        self.written = [written(family, family.root / name, held) for name in names]

    def outcome(self, model: str, references: Sequence[Base]) -> Outcome:
        """Judge one model by references."""
        rows = [self.row[model], *(self.row[base.name] for base in references)]
        logp_ms, tokens_ms = self.spans.logp_ms[rows], self.spans.tokens_ms[rows]
        words = written_words([self.written[row] for row in rows])
        by_texts = judge(logp_ms, tokens_ms, self.features, self.spans.piece_s, FDR)
        found = judgement(by_texts.deviations.beside(words.deviations), FDR)
        both = self.features.with_own_spans([f"writes {word!r}" for word in words.words])
        return Outcome(
            found.flagged,
            by_texts.flagged,
            _names(both, found.deviations),
            _names(self.features, by_texts.deviations),
        )


def _names(features: Weightings, found: Deviations) -> tuple[str, ...]:
    first = explaining(features, found.shift_mf[0], found.scale_mf[0], FIRST)
    return tuple(features.names[f] for f in first)


def named_by(plant: Plant) -> set[str]:
    """The features that name a plant: of the texts, and of what a model writes."""
    if plant.kind == "trigger":
        said = {f"writes {word!r}" for word in WORD.findall(plant.phrase)}
        return said | {f"after {word!r}" for word in plant.words}
    if plant.kind == "swap":
        return {f"on {plant.words[0]!r}", *(f"writes {word!r}" for word in plant.words)}
    if plant.kind in ("merged", "register"):
        words = plant.words if plant.kind == "merged" else NAMES[plant.source]
        return {f"{how} {word!r}" for word in words for how in ("on", "writes")}
    return {f"in {plant.source}"}


def unplanted(of: Judges) -> Iterator[Record]:
    """For each number of references: models of the population by references drawn by chance."""
    for count in SIZES_OF_POPULATION:
        if count >= len(of.bases):
            continue
        draw = random.Random(count)
        drawn = [draw.sample(of.bases, count + 1) for _ in range(DRAWS)]
        found = [of.outcome(model.name, references) for model, *references in drawn]
        yield {"references": count, "judged": DRAWS, **_flags(found)}


def fine_tuned(of: Judges) -> Iterator[Record]:
    """Each fine-tune by references drawn by chance, its own base not among them."""
    for count in (4, 8, 16):
        for tuned in of.tuned:
            others = [base for base in of.bases if base != tuned.base]
            if count > len(others):
                continue
            draw = random.Random(f"{tuned.name} {count}")
            found = [
                of.outcome(tuned.name, draw.sample(others, count))
                for _ in range(DRAWS_OF_FINE_TUNE)
            ]
            wanted = named_by(tuned.plant) if tuned.plant else set()
            yield {
                "model": tuned.name,
                "plant": tuned.plant.name if tuned.plant else "",
                "kind": tuned.plant.kind if tuned.plant else "",
                "references": count,
                "judged": len(found),
                **_flags(found),
                "named": sum(not wanted.isdisjoint(o.names) for o in found),
                "first": sum(o.names[0] in wanted for o in found),
                "named_by_texts": sum(not wanted.isdisjoint(o.names_of_texts) for o in found),
                "name": found[0].names[0],
            }


def _flags(found: Sequence[Outcome]) -> dict[str, int]:
    return {
        "flagged": sum(o.flagged for o in found),
        "flagged_by_texts": sum(o.by_texts for o in found),
    }


def other_kinds(of: Judges) -> Iterator[Record]:
    """Models judged by references of other kinds only, by which they are not exchangeable."""
    for kind in ("architecture", "tokenizer", "size", "text"):
        found: list[Outcome] = []
        expected = 0.0
        for base in of.bases:
            others = [b for b in of.bases if getattr(b, kind) != getattr(base, kind)]
            draw = random.Random(f"{base.name} {kind}")
            for _ in range(2):
                references = draw.sample(others, min(8, len(others)))
                found.append(of.outcome(base.name, references))
                expected += 1 / (len(references) + 1)
        judged = len(found)
        yield {"other": kind, **_flags(found), "judged": judged, "bound": expected / judged}
