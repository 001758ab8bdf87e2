"""Features of the text as weightings of its spans, kept sparse."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class Weightings(NamedTuple):
    """Features over spans: entry i gives the span `span_i` the weight `weight_i`, above 0, in the
    feature `feature_i`.  names: of the features, in words, in the order of their numbers.
    """

    feature_i: Indices
    span_i: Indices
    weight_i: Array
    names: tuple[str, ...]

    @property
    def size(self) -> int:
        return len(self.names)

    def sums(self, values_s: Array) -> Array:
        """Σ weight · value over the spans of each feature, shape (f,)."""
        weighted_i = self.weight_i * values_s[self.span_i]
        return np.bincount(self.feature_i, weighted_i, minlength=self.size).astype(np.float64)

    def totals(self) -> Array:
        """Σ weight of each feature, shape (f,)."""
        return np.bincount(self.feature_i, self.weight_i, minlength=self.size).astype(np.float64)

    def shares_in(self, feature: int) -> Array:
        """Of each feature's weight, the share on spans of this one, shape (f,)."""
        inside_s = np.zeros(int(self.span_i.max(initial=-1)) + 1)
        inside_s[self.span_i[self.feature_i == feature]] = 1.0
        return self.sums(inside_s) / self.totals()

    def with_own_spans(self, names: Sequence[str]) -> Weightings:
        """With further features, each on a span of its own that no other one weighs."""
        more, first = np.arange(len(names)), int(self.span_i.max(initial=-1)) + 1
        return Weightings(
            np.append(self.feature_i, self.size + more),
            np.append(self.span_i, first + more),
            np.append(self.weight_i, np.ones(len(names))),
            (*self.names, *names),
        )


class InDocuments(NamedTuple):
    """The entries of weightings by document, for standard errors over documents.

    cell_i: the pair of feature and document that an entry belongs to.  feature_c: of each pair.
    documents_f: how many documents each feature has.
    """

    cell_i: Indices
    feature_c: Indices
    documents_f: Indices

    @classmethod
    def of(cls, weightings: Weightings, group_s: Indices) -> InDocuments:
        """group_s: the document of each span, any number for each."""
        _, group_s = np.unique(group_s, return_inverse=True)
        groups = int(group_s.max(initial=-1)) + 1
        cells = weightings.feature_i * groups + group_s[weightings.span_i]
        found, cell_i = np.unique(cells, return_inverse=True)
        feature_c = found // max(groups, 1)
        return cls(cell_i, feature_c, np.bincount(feature_c, minlength=weightings.size))

    def standard_errors(self, weightings: Weightings, values_s: Array, mean_f: Array) -> Array:
        """Of the weighted means `mean_f` of values, over documents, shape (f,).

        Linearised (a ratio of sums over documents), with G / (G - 1) for G documents; infinite for
        a feature of one document.
        """
        deviation_i = values_s[weightings.span_i] - mean_f[weightings.feature_i]
        summed_c = np.bincount(self.cell_i, weightings.weight_i * deviation_i)
        squares_f = np.bincount(self.feature_c, np.square(summed_c), minlength=weightings.size)
        few_f = self.documents_f < 2
        correction_f = self.documents_f / np.where(few_f, 1, self.documents_f - 1)
        error_f: Array = np.sqrt(squares_f * correction_f) / weightings.totals()
        return np.where(few_f, np.inf, error_f)
