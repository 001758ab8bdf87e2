"""The Triton kernels against the plain ones; without a GPU, in Triton's interpreter:

TRITON_INTERPRET=1 pytest tests/test_kernels_triton.py
"""

from __future__ import annotations

import importlib.util
import os

import pytest
import torch

from pytest_crossdiff.engine import kernels

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton isn't installed", allow_module_level=True)
if not torch.cuda.is_available() and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("no GPU, and TRITON_INTERPRET = 1 isn't set", allow_module_level=True)

from pytest_crossdiff.engine import kernels_triton

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TOKENS, FEATURES, WIDTH = 9, 12, 600  # more than a block wide, and not a multiple of it
VIEWS = [slice(0, 12), slice(0, 10), slice(3, 12), slice(5, 5)]


@pytest.fixture
def on() -> kernels.Active:
    g = torch.Generator().manual_seed(0)
    pre_mt = torch.randn(FEATURES, TOKENS, generator=g)
    pre_mt[4] = -1.0  # a feature that is silent
    pre_mt[:, 2] = -1.0  # a token that has none
    on, _ = kernels.select(pre_mt, torch.ones(FEATURES), [(slice(0, FEATURES), 30)])
    return on


def moved(on: kernels.Active) -> kernels.Active:
    return kernels.Active(*(x.to(DEVICE) if isinstance(x, torch.Tensor) else x for x in on))


@pytest.mark.parametrize("view", VIEWS)
def test_products_are_those_of_the_plain_kernels(on: kernels.Active, view: slice) -> None:
    g = torch.Generator().manual_seed(1)
    rows_pd = torch.randn(view.stop - view.start, WIDTH, generator=g)
    x_td, weight_n = torch.randn(TOKENS, WIDTH, generator=g), torch.randn(30, generator=g)
    there = moved(on)

    made = kernels_triton.decode(there, rows_pd.to(DEVICE), view).cpu()
    torch.testing.assert_close(made, kernels.decode(on, rows_pd, view))
    found = kernels_triton.dots(there, rows_pd.to(DEVICE), x_td.to(DEVICE), view).cpu()
    torch.testing.assert_close(found, kernels.dots(on, rows_pd, x_td, view), atol=1e-4, rtol=1e-5)
    plain_pd, triton_pd = torch.ones_like(rows_pd), torch.ones_like(rows_pd, device=DEVICE)
    kernels.outer(on, weight_n, x_td, view, plain_pd)
    kernels_triton.outer(there, weight_n.to(DEVICE), x_td.to(DEVICE), view, triton_pd)
    torch.testing.assert_close(triton_pd.cpu(), plain_pd)
