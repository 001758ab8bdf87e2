"""The Triton kernels against the plain ones, where test_kernels_triton.py runs it."""

from __future__ import annotations

import pytest
import torch

from pytest_crossdiff.engine.dictionary import step
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.dictionary.training import Trainer, TrainingConfig
from pytest_crossdiff.engine.sparse import kernels, kernels_triton

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOKENS, FEATURES, WIDTH = 9, 12, 600  # more than a block wide, and not a multiple of it
VIEWS = [slice(0, 12), slice(0, 10), slice(3, 12), slice(5, 5)]


@pytest.fixture
def active() -> kernels.ActiveFeatures:
    g = torch.Generator().manual_seed(0)
    pre_mt = torch.randn(FEATURES, TOKENS, generator=g)
    pre_mt[4] = -1.0  # a feature that is silent
    pre_mt[:, 2] = -1.0  # a token that has none
    active, _ = kernels.select(pre_mt, torch.ones(FEATURES), [(slice(0, FEATURES), 30)])
    return active


def moved(active: kernels.ActiveFeatures) -> kernels.ActiveFeatures:
    return kernels.ActiveFeatures(
        *(x.to(DEVICE) if isinstance(x, torch.Tensor) else x for x in active)
    )


@pytest.mark.parametrize("view", VIEWS)
def test_products_are_those_of_the_plain_kernels(
    active: kernels.ActiveFeatures, view: slice
) -> None:
    g = torch.Generator().manual_seed(1)
    rows_pd = torch.randn(view.stop - view.start, WIDTH, generator=g)
    x_td, weight_n = torch.randn(TOKENS, WIDTH, generator=g), torch.randn(30, generator=g)
    there = moved(active)

    made = kernels_triton.decode(there, rows_pd.to(DEVICE), view).cpu()
    torch.testing.assert_close(made, kernels.decode(active, rows_pd, view))
    found = kernels_triton.dots(there, rows_pd.to(DEVICE), x_td.to(DEVICE), view).cpu()
    torch.testing.assert_close(
        found, kernels.dots(active, rows_pd, x_td, view), atol=1e-4, rtol=1e-5
    )
    plain_pd, triton_pd = torch.ones_like(rows_pd), torch.ones_like(rows_pd, device=DEVICE)
    kernels.outer(active, weight_n, x_td, view, plain_pd)
    kernels_triton.outer(there, weight_n.to(DEVICE), x_td.to(DEVICE), view, triton_pd)
    torch.testing.assert_close(triton_pd.cpu(), plain_pd)


@pytest.mark.parametrize("architecture", ["dfc", "standard", "innovation"])
def test_a_step_leads_to_the_same_weights(
    architecture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = 0 if architecture == "standard" else 4
    config = CrosscoderConfig(architecture, 20, 12, 32 - 2 * own, own, own, 3)
    g = torch.Generator().manual_seed(0)
    batches = [torch.randn(16, 32, generator=g) for _ in range(3)]
    made = []
    for device, products in (("cpu", kernels), (DEVICE, kernels_triton)):
        monkeypatch.setattr(step, "_products", lambda _device, found=products: found)
        monkeypatch.setattr(kernels, "_has_bfloat16", lambda _device: False)
        trainer = Trainer(Crosscoder(config).to(device), TrainingConfig(100, 16, 1e-2))
        for x in batches:
            trainer.train_step(x[:, :20].to(device), x[:, 20:].to(device))
        made.append({name: w.detach().cpu() for name, w in trainer.parameters.items()})
    for name, weights in made[0].items():
        torch.testing.assert_close(made[1][name], weights, atol=1e-5, rtol=1e-4)
        assert not torch.equal(weights, Crosscoder(config).state_dict()[name])
