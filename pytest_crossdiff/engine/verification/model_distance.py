"""The distance of two models, and the exclusivity that a difference between them must have.

The best linear maps between fine-tunes leave a few hundredths of their variance. Between
separately trained models they leave a third to a half, and most of that may be the same concepts in
another form, which a probe that learns from a few thousand tokens reads badly. So the more the maps
leave, the less of a feature may be read from the other model. How much less was measured
on toy worlds in which nothing differs but the layout (docs/evidence/toy-world.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.dictionary.innovation import fit_linear, unexplained_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder
    from pytest_crossdiff.settings import Settings

RELATED_MAX_UNMAPPED = 0.1
"""Models are related when linear maps leave at most this share of either's variance. Fine-tunes
leave 0.01 to 0.09; in a toy world of bent concepts that leave 0.16, nothing planted was reported.
"""
CLOSE_UNMAPPED, HALVING_UNMAPPED, DISTANT_UNMAPPED = 0.22, 0.045, 0.5
"""Where the maps leave more than `NEAR`, what the other model may have of a feature halves with
every `HALVING_UNMAPPED` more, up to `DISTANT_UNMAPPED`."""
NONLINEAR_MAP_FACTOR = 0.2
"""With curved maps that share is at most this part of what it is otherwise: an exclusive feature
reads what a network didn't predict, so that networks as probes predict it badly."""


class ModelDistance(NamedTuple):
    """What the best linear map from the other model leaves of the baseline's variance and of the
    candidate's, the exclusivity above which a feature of either is a difference, and whether the
    models descend from one another.
    """

    unmapped: tuple[float, float]
    exclusivity: tuple[float, float]
    descent: bool = False

    @property
    def related(self) -> bool:
        """Whether what the maps leave was learnt since the two models were one."""
        return self.descent or max(self.unmapped) <= RELATED_MAX_UNMAPPED

    def thresholds(self, owner_is_candidate_p: NDArray[np.bool_]) -> NDArray[np.float64]:
        """The exclusivity asked of each feature, shape (p,)."""
        a, b = self.exclusivity
        return np.where(owner_is_candidate_p, b, a)


def model_distance(model: Crosscoder, pairs: Pairs, settings: Settings) -> ModelDistance:
    """Measure it on the training documents, with what the model knows where it has maps."""
    if model.config.architecture == "innovation":
        left = tuple(model.linear_scale.square().cpu().tolist())
    else:
        left = fit_linear(pairs).linear
    unmapped, least = unexplained_shares(left, pairs), settings.exclusivity
    floor = 1.0 - (1.0 - least) * NONLINEAR_MAP_FACTOR if model.config.map_units else least
    # Of one model and its fine-tune the maps leave what the fine-tune has learnt: the more that is,
    # the more must count.  Between separately trained models they leave what has another geometry.
    asked = [least if pairs.related else required_exclusivity(least, share) for share in unmapped]
    a, b = (max(one, floor) for one in asked)
    return ModelDistance(unmapped, (a, b), pairs.related)


def required_exclusivity(setting: float, unmapped: float) -> float:
    """The exclusivity asked of a feature where `crossdiff_exclusivity` asks for `setting`."""
    excess = min(max(unmapped, CLOSE_UNMAPPED), DISTANT_UNMAPPED) - CLOSE_UNMAPPED
    return 1.0 - (1.0 - setting) * float(0.5 ** (excess / HALVING_UNMAPPED))
