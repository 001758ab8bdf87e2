"""The encoder's product of numbers rounded to bfloat16: on a GPU that has them, else the same
numbers on the CPU.
"""

from __future__ import annotations

import pytest
import torch

from benchmarks.speed.gpu.training import trained_loss
from pytest_crossdiff.engine.sparse import kernels

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def product(rows_pd: torch.Tensor, x_td: torch.Tensor) -> torch.Tensor:
    out_pt = torch.ones(len(rows_pd), len(x_td), device=DEVICE)
    kernels.add_product_of_halves(out_pt, rows_pd.to(DEVICE), x_td.to(DEVICE))
    return out_pt.cpu() - 1


def test_its_sums_are_float32() -> None:
    ones = torch.ones(1, 3001)  # the nearest bfloat16 is 3008
    assert product(ones, ones).item() == 3001.0


def test_its_factors_are_rounded_and_nothing_else() -> None:
    g = torch.Generator().manual_seed(0)
    rows_pd, x_td = torch.randn(40, 300, generator=g), torch.randn(30, 300, generator=g)
    found = product(rows_pd, x_td).double()
    rounded = rows_pd.bfloat16().double() @ x_td.bfloat16().double().T
    torch.testing.assert_close(found, rounded, atol=1e-4, rtol=0)
    exact = rows_pd.double() @ x_td.double().T
    assert (found - exact).abs().max() > 0.01


def test_only_a_cuda_device_that_has_them_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for capability, wanted in (((7, 5), False), ((8, 0), True), ((9, 0), True)):
        of = {"get_device_capability": lambda _device, found=capability: found}
        monkeypatch.setattr(torch, "cuda", type("cuda", (), of))
        kernels._has_bfloat16.cache_clear()
        assert kernels._has_bfloat16(torch.device("cuda")) is wanted
    kernels._has_bfloat16.cache_clear()
    assert not kernels._has_bfloat16(torch.device("cpu"))


@pytest.mark.skipif(DEVICE.type == "cuda", reason="benchmarks/speed/gpu/training.py does it there")
def test_a_dictionary_learns_as_well_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = trained_loss(DEVICE)
    monkeypatch.setattr(kernels, "_has_bfloat16", lambda _device: True)
    rounded = trained_loss(DEVICE)
    assert rounded != exact
    assert rounded == pytest.approx(exact, rel=0.01)
