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

from pytest_crossdiff.engine.learning import errors_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pytest_crossdiff.engine.activations import Pairs
    from pytest_crossdiff.engine.crosscoder import Crosscoder


class LatentScaling(NamedTuple):
    """Both ratios of every feature asked about, arrays of length p; NaN where it never fires."""

    error_p: NDArray[np.float64]
    reconstruction_p: NDArray[np.float64]


@torch.no_grad()
def latent_scaling(
    model: Crosscoder,
    pairs: Pairs,
    chosen: NDArray[np.int64],
    own_is_b_p: NDArray[np.bool_],
    device: torch.device,
) -> LatentScaling:
    """Measure features `chosen` (indices into m) on the held-out pairs.

    Raises `ValueError` when the widths differ.
    """
    if model.config.width_a != model.config.width_b:
        raise ValueError("latent scaling needs two models of one width")
    index = torch.from_numpy(chosen).to(device)
    own_b = torch.from_numpy(own_is_b_p).to(device)
    own_pd = torch.zeros(len(index), model.config.width_a, device=device)
    part_mpd = torch.zeros(2, *own_pd.shape, device=device)  # what a feature adds to either model
    for view in model.config.views:
        inside = (index >= view.features.start) & (index < view.features.stop)
        rows = model.directions(index[inside], candidate=view.candidate)
        if view.target < 2:
            part_mpd[view.target, inside] = rows
        mine = own_b[inside] == view.candidate
        own_pd[inside] = torch.where(mine[:, None], rows, own_pd[inside])
    error_mp, made_mp = (torch.zeros(2, len(index), dtype=torch.float64) for _ in range(2))
    for _, x_a, x_b in pairs.blocks(pairs.heldout(), device):
        x = model.inputs(x_a, x_b)
        on = model.active(x)
        f_tp, errors = on.columns(index), errors_of(model, x, on)
        for i in (0, 1):
            vectors, error = x[i], errors[i]
            assert vectors is not None
            assert error is not None
            overlap_p = f_tp.square().sum(0) * (part_mpd[i] * own_pd).sum(1)
            along_p = (f_tp * (error @ own_pd.T)).sum(0)
            error_mp[i] += (along_p + overlap_p).double().cpu()
            made_p = (f_tp * ((vectors - error) @ own_pd.T)).sum(0) - overlap_p
            made_mp[i] += made_p.double().cpu()
    own = own_is_b_p.astype(np.int64)
    return LatentScaling(_ratio(error_mp.numpy(), own), _ratio(made_mp.numpy(), own))


def _ratio(fit_mp: NDArray[np.float64], own_p: NDArray[np.int64]) -> NDArray[np.float64]:
    """β of the other model over β of the own: what scales both alike drops out."""
    place = np.arange(fit_mp.shape[1])
    own, other = fit_mp[own_p, place], fit_mp[1 - own_p, place]
    return np.where(own != 0.0, other / np.where(own != 0.0, own, 1.0), np.nan)
