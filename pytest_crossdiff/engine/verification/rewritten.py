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

    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, Inputs
    from pytest_crossdiff.engine.sparse.kernels import ActiveFeatures


class RewritingSums:
    """Gathers, for each feature of the exclusive parts, what its model has along its direction
    where it fires, and what the other has there: what the map brings and, where the widths agree,
    what lies along the same direction. The two innovations of a place are often one but for the
    sign; this says in which of the models something is there. And a map that one change has bent
    leaves something on words that nothing happened to, on which two versions still agree.

    signed: vectors that point away from a direction do not count as its own. In predictions they
    must not: where one model says another word, each has more of its own and less of the other's.
    In a residual stream it would count what a fine-tune does to a text's first word
    (docs/evidence/organisms.md).
    """

    def __init__(self, model: Crosscoder, *, signed: bool) -> None:
        self._model, self._views, self._signed = model, model.config.views[-2:], signed
        size = model.config.features
        self._own_energy_m, self._mapped_m, self._other_energy_m = (
            torch.zeros(size, dtype=torch.float64) for _ in range(3)
        )

    def add(self, active: ActiveFeatures, x: Inputs) -> None:
        """Count tokens with their activations."""
        for view in self._views:
            places = torch.arange(
                view.features.start, view.features.stop, device=active.value.device
            )
            fires_tp = active.columns(places) > 0
            directions_pd = self._model.rows(view, "dec")
            own, other = (x.b_tb, x.a_ta) if view.candidate else (x.a_ta, x.b_tb)
            own_component_tp = own @ directions_pd.T
            scale = self._model.innovation_scale[int(view.candidate)]
            mapped_tp = own_component_tp - scale * (self._model.read(x, view) @ directions_pd.T)
            counted = [(self._own_energy_m, own_component_tp), (self._mapped_m, mapped_tp)]
            if own.shape == other.shape:
                counted.append((self._other_energy_m, other @ directions_pd.T))
            for total_m, x_tp in counted:
                clipped_tp = x_tp.clamp_min(0) if self._signed else x_tp
                squares_p = (clipped_tp.square() * fires_tp).sum(0, dtype=torch.float64)
                total_m[view.features] += squares_p.cpu()

    def unmapped(self) -> NDArray[np.float64]:
        """The share of what a feature's model writes that the other doesn't have, shape (m,), at
        most 1; below 0 where the other has more.
        """
        other_side_energy_m = torch.maximum(self._mapped_m, self._other_energy_m)
        share_m = 1.0 - other_side_energy_m / self._own_energy_m.clamp_min(1e-12)
        return np.asarray(share_m.numpy())
