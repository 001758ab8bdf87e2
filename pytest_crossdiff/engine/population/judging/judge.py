"""The verdict on one model over the references, and the features that show the difference.

The rule (METHOD 7): a model is flagged when its largest deviation exceeds that of every reference.
If the model and the references are exchangeable, each of the K + 1 models has the largest deviation
with the same probability.  So the model is flagged with probability 1 / (K + 1) at most, whatever
the distribution of deviations (conformal p-values; Bates et al. 2021, arXiv 2104.08279).  Two
conditions are met by construction: every model is treated alike (`ability`, `deviations`), and the
features depend on the texts but not on which of the models is judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytest_crossdiff.engine.population.judging.ability import residuals
from pytest_crossdiff.engine.population.judging.deviations import (
    PRIOR_DEGREES,
    Deviations,
    deviations,
)
from pytest_crossdiff.engine.population.judging.student_t import two_sided
from pytest_crossdiff.engine.verification.exclusivity import benjamini_hochberg

if TYPE_CHECKING:
    from pytest_crossdiff.engine.population.judging.deviations import WrittenWords
    from pytest_crossdiff.engine.population.judging.weightings import Weightings

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


class Judgement(NamedTuple):
    """The judged model against the references.

    deviations: of all models, the judged one first.  p_f: moderated t, K - 1 + 4 degrees of
    freedom, of the judged model in each feature.  significant_f: by Benjamini-Hochberg.
    """

    deviations: Deviations
    p_f: Array
    significant_f: NDArray[np.bool_]

    @property
    def references(self) -> int:
        return len(self.deviations.shift_mf) - 1

    @property
    def bound(self) -> float:
        """The probability at most with which a model like the references is flagged."""
        return 1 / (self.references + 1)

    @property
    def largest(self) -> float:
        """The judged model's largest |z|."""
        return float(self.deviations.largest_m[0])

    @property
    def threshold(self) -> float:
        """The largest |z| of any reference."""
        return float(self.deviations.largest_m[1:].max())

    @property
    def flagged(self) -> bool:
        """Whether the judged model deviates more than every reference."""
        return self.largest > self.threshold

    def smallest_flagged_f(self) -> Array:
        """The shift of each feature, in nats a span, above which the model would be flagged."""
        needed_f: Array = self.threshold * self.deviations.scale_mf[0]
        return needed_f


def judge(
    logp_ms: Array,
    tokens_ms: Array,
    weightings: Weightings,
    group_s: Indices,
    fdr: float,
    words: WrittenWords | None = None,
) -> Judgement:
    """Judge the first model by the others, the references.

    logp_ms: log p of each span in nats.  tokens_ms: in how many tokens a model reads it.
    group_s: the document of each span.  fdr: false discovery rate of `significant_f`.  words: that
    the same models write, whose features come after those of the texts.
    """
    found = deviations(residuals(logp_ms, tokens_ms), weightings, group_s)
    return judgement(found if words is None else found.beside(words.deviations), fdr)


def judgement(found: Deviations, fdr: float) -> Judgement:
    """What deviations of the judged model, the first, and of the references say."""
    degrees = len(found.shift_mf) - 2 + PRIOR_DEGREES
    p_f = np.array([two_sided(z, degrees) for z in found.z_mf[0].tolist()])
    return Judgement(found, p_f, benjamini_hochberg(p_f, fdr))
