"""Does a feature add to what the baseline's activations predict of what its model says next?

The projected covariance measure (Lundborg, Kim, Shah & Samworth 2024, "The projected covariance
measure for assumption-lean variable significance testing"), its variance clustered by document.
On the training documents the target and the feature are regressed on the baseline's activations,
and the direction in which the feature helps is fitted on what is left; on the held-out documents
the products of both residuals are summed.  Under "the feature adds nothing" the sum over its
standard error is normal with mean at most 0, whatever the distribution, as far as the regressions
come close to the conditional means.

Axes: n places, p features, d documents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from benchmarks.inside.readability import Reader

HIDDEN = 256
"""Random hidden units beside the vectors themselves: the regressions are not linear."""


def expanded(x_nd: Tensor, seed: int = 0) -> Tensor:
    """The vectors and random ReLU units of them, shape (n, d + HIDDEN)."""
    g = torch.Generator().manual_seed(seed)
    unit_nd = (x_nd - x_nd.mean(0)) / x_nd.std(0).clamp_min(1e-6)
    width = x_nd.shape[1]
    made_nh = unit_nd @ (torch.randn(width, HIDDEN, generator=g) / width**0.5)
    return torch.cat([unit_nd, (made_nh + torch.randn(HIDDEN, generator=g)).relu()], 1)


def covariance_z(
    reader: Reader,
    f_np: Tensor,
    y_n: Tensor,
    group_n: NDArray[np.int32],
    held_n: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """The standardised measure of each feature, shape (p,); one-sided, large where f adds.

    reader: of `expanded` baseline vectors.  y_n: what the features' own model says behind a place.
    """
    basis_2np = torch.stack([f_np, (f_np > 0).float()])
    scale_2p = basis_2np[:, ~held_n].std(1).clamp_min(1e-9)
    basis_2np = basis_2np / scale_2p[:, None]
    targets_nq = torch.cat([y_n[:, None], basis_2np[0], basis_2np[1]], 1)
    left_nq = (targets_nq - reader.predicted(targets_nq)).double()
    y_left_n, p = left_nq[:, 0], f_np.shape[1]
    first_np, second_np = left_nq[:, 1 : p + 1], left_nq[:, p + 1 :]
    training = ~held_n
    a_np, b_np, r_n = first_np[training], second_np[training], y_left_n[training]
    aa, bb, ab = a_np.square().sum(0), b_np.square().sum(0), (a_np * b_np).sum(0)
    ay, by = a_np.T @ r_n, b_np.T @ r_n
    ridge = 1e-3 * (aa + bb) + 1e-9
    aa, bb = aa + ridge, bb + ridge
    scale = aa * bb - ab.square()
    one_p, two_p = (bb * ay - ab * by) / scale, (aa * by - ab * ay) / scale
    product_np = (y_left_n[:, None] * (first_np * one_p + second_np * two_p))[held_n]
    _, document_n = np.unique(group_n[held_n], return_inverse=True)
    sums_dp = torch.zeros(int(document_n.max()) + 1, p, dtype=torch.float64)
    sums_dp.index_add_(0, torch.from_numpy(document_n), product_np)
    spread_p = sums_dp.square().sum(0).sqrt().clamp_min(1e-12)
    return np.asarray((sums_dp.sum(0) / spread_p).numpy())
