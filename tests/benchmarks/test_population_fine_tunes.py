"""How references are drawn in the benchmark over models that were trained separately."""

from __future__ import annotations

import random

from benchmarks.population.bases import bases
from benchmarks.population.fine_tuned_references import drawn
from benchmarks.population.fine_tunes import FineTune, fine_tunes


def test_so_many_references_are_fine_tunes_and_none_shares_its_base_with_another() -> None:
    others = bases("reporting")[1:]
    benign = {t.base: t for t in fine_tunes("reporting") if t.plant is None}
    found = drawn(random.Random(0), others, benign, 8, 5)
    of_bases = [model.base if isinstance(model, FineTune) else model for model in found]
    assert sum(isinstance(model, FineTune) for model in found) == 5
    assert len(set(of_bases)) == 8
    assert set(of_bases) <= set(others)


def test_fine_tunes_alone_are_drawn_where_as_many_are_asked_for() -> None:
    half = bases("reporting")
    benign = {t.base: t for t in fine_tunes("reporting") if t.plant is None}
    found = drawn(random.Random(0), half, benign, 8, 8)
    assert all(isinstance(model, FineTune) and model.plant is None for model in found)
