"""What one of two related models writes on places that both know.

A fine-tune teaches new uses of old words. The other model knows the word, so a probe reads from it
where the feature fires, and the feature is not exclusive; but the map between the models doesn't
give what its owner writes there. Only where the maps leave little is that a finding: between models
that are not related they leave much on every word.

Axes: t tokens, m features, p features of an exclusive part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations import Pairs
    from pytest_crossdiff.engine.crosscoder import Crosscoder, Inputs
    from pytest_crossdiff.engine.kernels import Active

RELATED = 0.1
"""Models are related when the maps leave at most this share of either's variance. Fine-tunes leave
0.01 to 0.09; in a toy world of bent concepts that leave 0.16, nothing planted was reported."""
SAMPLE = 8_192
"""Training pairs that the models' variance is estimated from."""


def related(model: Crosscoder, pairs: Pairs) -> bool:
    """Whether the two are so alike that what the maps leave was learnt since they parted."""
    if model.config.architecture != "innovation":
        return False
    rows = pairs.training()
    left = model.innovation_scale.square().cpu().tolist()
    return all(
        share * x_nd.shape[1] <= RELATED * float(x_nd.square().sum(1).mean())
        for share, x_nd in zip(left, pairs.batch(rows[:: -(-len(rows) // SAMPLE)]), strict=True)
    )


class Writing:
    """Gathers, for each feature of the exclusive parts, what either model has along its direction
    where it fires: a baseline that wrote it and a candidate that writes the opposite leave the same
    innovation but for the sign.
    """

    def __init__(self, model: Crosscoder) -> None:
        self._model, self._views = model, model.config.views[2:]
        self._more_m = torch.zeros(model.config.features, dtype=torch.float64)

    def add(self, on: Active, x: Inputs) -> None:
        """Count tokens with their activations."""
        for view in self._views:
            places = torch.arange(view.features.start, view.features.stop, device=on.value.device)
            fires_tp = on.columns(places) > 0
            directions_pd = self._model.rows(view, "dec")
            own = x.b_tb if view.candidate else x.a_ta
            written_tp = own @ directions_pd.T
            scale = self._model.innovation_scale[int(view.candidate)]
            mapped_tp = written_tp - scale * (self._model.read(x, view) @ directions_pd.T)
            more_tp = (written_tp.square() - mapped_tp.square()) * fires_tp
            self._more_m[view.features] += more_tp.sum(0, dtype=torch.float64).cpu()

    def by_owner(self) -> NDArray[np.bool_]:
        """Of which features their own model has more than what the map brings over, shape (m,)."""
        return np.asarray((self._more_m > 0).numpy())
