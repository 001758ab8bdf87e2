"""On a device, a training step never waits for it: on tensors without data, asking for a number
raises, and so does mixing them with the CPU's.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch

from pytest_crossdiff.engine.dictionary import step
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.dictionary.training import CHECK_INTERVAL, Trainer, TrainingConfig
from pytest_crossdiff.engine.models.devices import to_device
from pytest_crossdiff.engine.sparse import kernels

if TYPE_CHECKING:
    from torch import Tensor

    from pytest_crossdiff.engine.sparse.kernels import ActiveFeatures

TOKENS = 32


def decode(active: ActiveFeatures, dec_pd: Tensor, features: slice) -> Tensor:
    return dec_pd.new_empty(active.tokens, dec_pd.shape[1])


def dots(active: ActiveFeatures, dec_pd: Tensor, x_td: Tensor, features: slice) -> Tensor:
    return torch.empty_like(active.value)


def outer(
    active: ActiveFeatures, weight_n: Tensor, x_td: Tensor, features: slice, out_pd: Tensor
) -> None:
    assert out_pd.shape == (features.stop - features.start, x_td.shape[1])


@pytest.fixture
def trainer(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Trainer:
    # Triton's three products know no more than shapes here; what they add up is tested elsewhere.
    stand_in = SimpleNamespace(decode=decode, dots=dots, outer=outer)
    monkeypatch.setattr(step, "_products", lambda _device: stand_in)
    plain = torch.optim.Adam  # the fused one knows devices by name
    monkeypatch.setattr(torch.optim, "Adam", lambda weights, lr, fused: plain(weights, lr))
    own = 0 if request.param == "standard" else 8
    config = CrosscoderConfig(request.param, 16, 24, 56 - 2 * own, own, own, 4)
    made = Trainer(Crosscoder(config).to("meta"), TrainingConfig(100, TOKENS, 1e-3))
    made.step = 2 * CHECK_INTERVAL + 1
    return made


@pytest.mark.parametrize("trainer", ["dfc", "standard", "innovation"], indirect=True)
@pytest.mark.parametrize("dead", [0, 5])
def test_a_step_asks_the_device_for_nothing(trainer: Trainer, dead: int) -> None:
    x_ta, x_tb = (torch.empty(TOKENS, width, device="meta") for width in (16, 24))
    if dead:
        dead_m = torch.arange(56) < dead
        found = step.dead_features(trainer.model, dead_m)
        assert found is not None
        trainer._dead = found._replace(indices=found.indices.to("meta"))
    for _ in range(3):
        trainer.train_step(x_ta, x_tb)
    assert trainer.loss == []


@pytest.mark.parametrize("trainer", ["innovation"], indirect=True)
def test_the_test_would_see_it(trainer: Trainer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "_products", lambda _device: kernels)  # ask for numbers of pairs
    with pytest.raises(RuntimeError, match="meta"):
        trainer.train_step(*(torch.empty(TOKENS, w, device="meta") for w in (16, 24)))


class Recorded:
    """What is asked of a tensor."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def pin_memory(self) -> Recorded:
        self.asked.append("pin")
        return self

    def to(self, device: torch.device, **how: bool) -> Recorded:
        self.asked += [device.type, how]
        return self


@pytest.mark.parametrize(
    ("device", "asked"),
    [("cuda", ["pin", "cuda", {"non_blocking": True}]), ("cpu", ["cpu", {}])],
)
def test_a_batch_reaches_a_gpu_without_waiting(device: str, asked: list[object]) -> None:
    x = Recorded()
    to_device(x, torch.device(device))
    assert x.asked == asked


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("architecture", ["dfc", "standard", "innovation"])
def test_on_a_gpu_nothing_waits_between_two_looks(architecture: str) -> None:
    own = 0 if architecture == "standard" else 8
    config = CrosscoderConfig(architecture, 16, 24, 56 - 2 * own, own, own, 4)
    there = torch.device("cuda")
    trainer = Trainer(Crosscoder(config).to(there), TrainingConfig(100, TOKENS, 1e-3))
    for number in range(CHECK_INTERVAL):
        torch.cuda.set_sync_debug_mode("error" if number else "default")
        try:
            trainer.train_step(*(to_device(torch.randn(TOKENS, w), there) for w in (16, 24)))
        finally:
            torch.cuda.set_sync_debug_mode("default")
    trainer.read_losses()
    assert len(trainer.loss) == CHECK_INTERVAL
