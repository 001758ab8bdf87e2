"""Latent scaling: how much of a feature the other model has, read off the dictionary's own errors.

Reported beside exclusivity where both models have one width, for comparison with the literature; it
supposes that both speak of directions in one space, as a model and its fine-tune do.  Source:
Minder, Dumas et al. 2025, arXiv 2504.02922.

For feature j with direction d_j in its own model M, β is the number by which f_j d_j fits a target
best.  With y_M what is left of model M, or what is made of it, when j takes no part:

    nu_error = β(error of the other) / β(error of M), and nu_reconstruction likewise.

Near 0: only its own model has it.  A high nu_error: the other has it and the dictionary doesn't say
so.  A high nu_reconstruction: other features rebuild it there.

Axes: t tokens, p features asked about, d width of both models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, Inputs, Outputs
    from pytest_crossdiff.engine.sparse.kernels import ActiveFeatures


class LatentScaling(NamedTuple):
    """Both ratios of every feature asked about, arrays of length p; NaN where it never fires."""

    error_p: NDArray[np.float64]
    reconstruction_p: NDArray[np.float64]


class LatentScalingBuilder:
    """Gathers both ratios block by block, for features `chosen` (indices into m).

    Raises `ValueError` when the widths differ.
    """

    def __init__(self, model: Crosscoder, chosen: Tensor, owner_is_candidate_p: Tensor) -> None:
        if model.config.width_a != model.config.width_b:
            raise ValueError("latent scaling needs two models of one width")
        own_pd = torch.zeros(len(chosen), model.config.width_a, device=chosen.device)
        part_mpd = torch.zeros(2, *own_pd.shape, device=chosen.device)  # what is added to a model
        for view in model.config.views:
            inside = (chosen >= view.features.start) & (chosen < view.features.stop)
            rows = model.directions(chosen[inside], candidate=view.candidate)
            if view.target < 2:
                part_mpd[view.target, inside] = rows
            mine = owner_is_candidate_p[inside] == view.candidate
            own_pd[inside] = torch.where(mine[:, None], rows, own_pd[inside])
        self._own_pd, self._shared_mp = own_pd, (part_mpd * own_pd).sum(2)
        self._own_p = owner_is_candidate_p.cpu().numpy().astype(np.int64)
        size = 2, len(chosen)
        self._error_mp, self._reconstructed_mp = (
            torch.zeros(size, dtype=torch.float64) for _ in range(2)
        )

    def add(self, active: ActiveFeatures, x: Inputs, errors: Outputs) -> None:
        """Count tokens with the chosen features' activations, the inputs and the residues."""
        squares_p = active.squares()
        for i in (0, 1):
            vectors, error = x[i], errors[i]
            assert vectors is not None
            assert error is not None
            overlap_p = squares_p * self._shared_mp[i]
            along_p = (active.sums(error) * self._own_pd).sum(1)
            self._error_mp[i] += (along_p + overlap_p).double().cpu()
            reconstructed_p = (active.sums(vectors) * self._own_pd).sum(1) - along_p - overlap_p
            self._reconstructed_mp[i] += reconstructed_p.double().cpu()

    def ratios(self, positions: NDArray[np.int64]) -> LatentScaling:
        """Those of the features at some positions."""
        parts = (part.numpy()[:, positions] for part in (self._error_mp, self._reconstructed_mp))
        return LatentScaling(*(_ratio(part, self._own_p[positions]) for part in parts))


def _ratio(fit_mp: NDArray[np.float64], own_p: NDArray[np.int64]) -> NDArray[np.float64]:
    """β of the other model over β of the own: what scales both alike drops out."""
    place = np.arange(fit_mp.shape[1])
    own, other = fit_mp[own_p, place], fit_mp[1 - own_p, place]
    return np.where(own != 0.0, other / np.where(own != 0.0, own, 1.0), np.nan)
