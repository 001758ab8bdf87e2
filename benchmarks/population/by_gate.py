"""Judges models of a half through the product: whole plans, the gate's own share of held-out texts,
its cache and its verdict, where `judging` looks at all texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks.population.bases import bases
from benchmarks.population.fine_tunes import fine_tunes
from benchmarks.population.judging import FIRST, Outcome
from pytest_crossdiff.engine.plan import plan
from pytest_crossdiff.engine.population.stored import load_or_judge
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.population.bases import Base, Half
    from benchmarks.population.family import Family
    from benchmarks.population.fine_tunes import FineTune
    from benchmarks.records import Record
    from pytest_crossdiff.results.population import JudgedModel
    from pytest_crossdiff.results.population import Population as Verdict

TOKENS = 60_000
"""More than the corpus has: all of it is read."""


class Gate:
    """All models of a half, judged as the gate judges a candidate."""

    def __init__(self, family: Family, half: Half) -> None:
        self.family, self.half, self.bases = family, half, bases(half)
        self.tuned = [t for t in fine_tunes(half) if family.made(t)]
        self.facts: Record = {}

    def outcome(self, model: str, references: Sequence[Base]) -> Outcome:
        """Judge one model by references; the baseline is any model that is neither."""
        both, texts = (self.judged(model, references, writing=w) for w in (True, False))
        first = [f.name for f in both.features[:FIRST]], [f.name for f in texts.features[:FIRST]]
        return Outcome(both.flagged, texts.flagged, tuple(first[0]), tuple(first[1]))

    def judged(
        self, model: str, references: Sequence[Base | FineTune], *, writing: bool = True
    ) -> JudgedModel:
        """The verdict on a candidate; writing: whether the words that models write count."""
        names = [*(b.name for b in self.bases), *(t.name for t in self.tuned if t.plant is None)]
        used = {model, *(base.name for base in references)}
        baseline = next(name for name in names if name not in used)
        root = self.family.root
        settings = Settings(
            baseline=str(root / baseline),
            candidate=str(root / model),
            references=tuple(str(root / base.name) for base in references),
            reference_writing=writing,
            corpus=str(self.family.corpus(self.half)),
            tokens=TOKENS,
            layer=0.5,
            device="cpu",
            cache_dir=str(root / "cache"),
        )
        found = load_or_judge(plan(settings), SilentProgress())
        if found.population is None:
            raise ValueError(f"{model} was not judged: {found.reason}")
        if writing:
            self.facts = _facts(found.population)
        judged = found.population.of("candidate")
        assert judged is not None, "there are as many references as are needed"
        return judged


def _facts(found: Verdict) -> Record:
    return {
        "spans": found.spans,
        "documents": found.documents,
        "features": found.features,
        "words": found.words,
    }
