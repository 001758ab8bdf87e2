"""Model effect, workflow effect and interaction of numbers measured on two corpora.

Axes: n positions, g documents.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.metrics.intervals import Documents
from pytest_crossdiff.engine.verification.association import association_p_values
from pytest_crossdiff.engine.verification.exclusivity import benjamini_hochberg
from pytest_crossdiff.results.output import Estimate
from pytest_crossdiff.results.workflow import Drift, DriftedSlice, Effects

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

NONE = Estimate(0.0, 0.0, 0.0)


class Corpus(NamedTuple):
    """What was measured at the positions of one corpus: the document and the slice of each, the
    baseline's loss, the candidate's, and the KL divergence, None where it was not measured.
    """

    document_n: NDArray[np.int64]
    slice_n: NDArray[np.str_]
    baseline_n: Array
    candidate_n: Array
    kl_n: Array | None


def difference(a: Estimate, b: Estimate) -> Estimate:
    """`a - b` of two independent estimates, with the 95 % interval of Zou and Donner (2008), which
    takes each side's own, perhaps lopsided, interval.
    """
    value = a.value - b.value
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Estimate(value, None, None)
    down = sqrt((a.value - a.low) ** 2 + (b.high - b.value) ** 2)
    up = sqrt((a.high - a.value) ** 2 + (b.value - b.low) ** 2)
    return Estimate(value, value - down, value + up)


def loss_effects(reference: Corpus, today: Corpus) -> Effects:
    """Of the loss, nats a token: the model effect by document on the reference corpus, where both
    models read the same texts; the others between the corpora.
    """
    before, after = Documents(reference.document_n), Documents(today.document_n)
    model = before.mean(reference.candidate_n - reference.baseline_n)
    workflow = difference(after.mean(today.baseline_n), before.mean(reference.baseline_n))
    interaction = difference(after.mean(today.candidate_n - today.baseline_n), model)
    return Effects(model, workflow, interaction, model.value + workflow.value + interaction.value)


def kl_effects(reference: Corpus, today: Corpus) -> Effects | None:
    """Of the KL divergence from the baseline, which is 0 from itself on any texts."""
    if reference.kl_n is None or today.kl_n is None:
        return None
    model = Documents(reference.document_n).mean(reference.kl_n)
    after = Documents(today.document_n).mean(today.kl_n)
    return Effects(model, NONE, difference(after, model), after.value)


def drifted_slices(reference: Corpus, today: Corpus, q: float) -> tuple[DriftedSlice, ...]:
    """The slices that are new or gone, and those whose share of the documents or whose loss has
    changed more than when documents are given to the two corpora at random.

    A two-sided permutation test over documents for each, with the false discovery rate `q` over
    all of them (Benjamini & Hochberg 1995).
    """
    names = sorted({*reference.slice_n.tolist(), *today.slice_n.tolist()})
    if len(names) < 2:
        names = []  # one slice is the corpus: its change is the workflow effect itself
    tables = _Table.of(reference), _Table.of(today)
    today_g = np.repeat([False, True], [len(table.loss_g) for table in tables])
    loss_g = np.concatenate([table.loss_g for table in tables])
    slice_g = np.concatenate([table.slice_g for table in tables])
    tests: list[tuple[str, Drift, float]] = []
    for name in names:
        inside_g = slice_g == name
        there = [bool((table.slice_g == name).any()) for table in tables]
        share = _two_sided(inside_g.astype(float)[:, None], today_g)
        tests.append((name, "share" if all(there) else "new" if there[1] else "gone", share))
        if all(there):
            tests.append((name, "texts", _two_sided(loss_g[inside_g][:, None], today_g[inside_g])))
    p_values = np.array([p for *_, p in tests])
    kept = benjamini_hochberg(p_values, q) if tests else np.zeros(0, dtype=bool)
    found = [
        _slice(name, drift, p, reference, today, tables)
        for (name, drift, p), significant in zip(tests, kept, strict=True)
        if significant
    ]
    return tuple(sorted(found, key=lambda one: (one.p_value, one.name)))


class _Table(NamedTuple):
    """Of each document its mean loss under the baseline, and its slice."""

    loss_g: Array
    slice_g: NDArray[np.str_]

    @classmethod
    def of(cls, corpus: Corpus) -> _Table:
        _, first_g, document_n = np.unique(
            corpus.document_n, return_index=True, return_inverse=True
        )
        loss_g = np.bincount(document_n, corpus.baseline_n) / np.bincount(document_n)
        return cls(loss_g, corpus.slice_n[first_g])

    def share(self, name: str) -> float:
        return float((self.slice_g == name).mean())


def _two_sided(values_g1: Array, today_g: NDArray[np.bool_]) -> float:
    more, fewer = (float(association_p_values(x, today_g)[0]) for x in (values_g1, -values_g1))
    return min(1.0, 2 * min(more, fewer))


def _slice(
    name: str, drift: Drift, p: float, reference: Corpus, today: Corpus, tables: tuple[_Table, ...]
) -> DriftedSlice:
    before, after = (table.share(name) for table in tables)
    loss = None
    if before and after:
        means = [
            Documents(of.document_n[inside]).mean(of.baseline_n[inside])
            for of in (today, reference)
            for inside in [of.slice_n == name]
        ]
        loss = difference(*means)
    return DriftedSlice(name, drift, before, after, loss, p)
