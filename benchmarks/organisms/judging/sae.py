"""A plain BatchTopK sparse autoencoder, for the difference of two models' vectors.

Axes: t tokens, d width, m features.  Source: Bussmann et al. 2024.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

BATCH, RATE = 256, 1e-3


class SparseAutoencoder(nn.Module):
    """The k·t largest activations of a batch, weighed by their directions' length, are kept."""

    def __init__(self, width: int, features: int, k: int) -> None:
        super().__init__()
        self.k = k
        decoder_md = torch.randn(features, width) / width**0.5
        self.decoder_md = nn.Parameter(decoder_md)
        self.encoder_md = nn.Parameter(decoder_md.clone())
        self.bias_m = nn.Parameter(torch.zeros(features))
        self.bias_d = nn.Parameter(torch.zeros(width))

    def encode(self, x_td: Tensor) -> Tensor:
        f_tm = ((x_td - self.bias_d) @ self.encoder_md.T + self.bias_m).relu()
        scores = f_tm * self.decoder_md.norm(dim=1)
        cut = scores.flatten().topk(self.k * len(x_td)).values.min()
        return f_tm * (scores >= cut)

    def forward(self, x_td: Tensor) -> Tensor:
        made: Tensor = self.encode(x_td) @ self.decoder_md + self.bias_d
        return made


def trained(x_td: Tensor, features: int, k: int, steps: int, seed: int) -> SparseAutoencoder:
    """Fit to `x_td`, which should be about of unit variance."""
    torch.manual_seed(seed)
    model = SparseAutoencoder(x_td.shape[1], features, k)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE)
    for _ in range(steps):
        batch = x_td[torch.randint(len(x_td), (BATCH,))]
        loss = (model(batch) - batch).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return model
