"""The crosscoder against its equations (METHOD 2)."""

from __future__ import annotations

import pytest
import torch

from pytest_crossdiff.engine.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.training import AUX_WEIGHT, DEAD_STEPS, Trainer, TrainingConfig

ARCHITECTURES = ["standard", "dfc", "innovation"]


def make(architecture: str, *, k: int = 3, seed: int = 0) -> Crosscoder:
    own = 0 if architecture == "standard" else 3
    return Crosscoder(CrosscoderConfig(architecture, 5, 7, 10 - own, own, own, k, 1), seed)


def data(tokens: int = 16, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(tokens, 5, generator=g), torch.randn(tokens, 7, generator=g)


def test_exclusive_features_have_rows_in_their_own_model_only() -> None:
    model = make("dfc")
    assert model.dec_a_pa.shape == (10, 5)  # 7 shared and 3 of its own
    assert model.dec_b_pb.shape == (10, 7)
    f = torch.zeros(1, 13)
    f[0, 7] = 1.0  # the first baseline-only feature
    made, empty = model.reconstruct(f), model.reconstruct(f * 0)
    assert not torch.equal(made.a_ta, empty.a_ta)
    assert torch.equal(made.b_tb, empty.b_tb)
    a, b = data()
    pre = model.pre_activations(model.inputs(a, b))
    assert torch.equal(pre[:, 7:10], model.pre_activations(model.inputs(a, b * 9))[:, 7:10])
    assert torch.equal(pre[:, 10:], model.pre_activations(model.inputs(a * 9, b))[:, 10:])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_reconstruction_is_the_sum_of_directions(architecture: str) -> None:
    model = make(architecture)
    f = torch.rand(4, model.config.features)
    a = f[:, : model.config.shared] @ model.dec_a_pa[: model.config.shared] + model.dec_bias_a
    if architecture == "dfc":
        a = a + f[:, 7:10] @ model.dec_a_pa[7:]
    torch.testing.assert_close(model.reconstruct(f).a_ta, a)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradients_agree_with_finite_differences(architecture: str) -> None:
    model = make(architecture, k=20).double()  # k above the alive: the selection keeps all
    a, b = (x.double() for x in data(6))

    names = [name for name, _ in model.named_parameters()]
    weights = [p.detach().clone().requires_grad_() for p in model.parameters()]
    model._parameters.clear()

    def loss(*given: torch.Tensor) -> torch.Tensor:
        vars(model).update(zip(names, given, strict=True))
        x = model.inputs(a, b)
        kept, _ = model.keep_largest(model.pre_activations(x).relu())
        return model.errors(kept, x).squared().sum()

    assert torch.autograd.gradcheck(loss, weights)


def test_batch_top_k_keeps_the_largest_scores_of_the_batch() -> None:
    model = make("dfc")
    f = torch.rand(16, 13)
    kept, cut = model.keep_largest(f)
    scores = (f * model.decoder_norms()).detach()
    assert int((kept > 0).sum()) == 3 * 16
    assert float(scores[kept > 0].min()) == float(cut[0])
    assert float(scores[kept == 0].max()) < float(cut[0])
    assert torch.equal(kept[kept > 0], f[kept > 0])


def test_score_is_the_root_of_summed_squares_so_exclusives_are_not_handicapped() -> None:
    model = make("dfc")
    norms = model.decoder_norms()
    a, b = model.dec_a_pa, model.dec_b_pb
    torch.testing.assert_close(norms[0], (a[0].square().sum() + b[0].square().sum()).sqrt())
    torch.testing.assert_close(norms[8], a[8].norm())
    torch.testing.assert_close(norms[11], b[8].norm())


def test_innovation_has_a_budget_of_its_own_for_each_model() -> None:
    model = make("innovation")
    f = torch.rand(16, 13)
    f[:, 7:] *= 1e-6  # under one joint budget none of these would win a place
    kept, _ = model.keep_largest(f)
    assert int((kept[:, 7:10] > 0).sum()) == 16
    assert int((kept[:, 10:] > 0).sum()) == 16


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_inference_does_not_depend_on_the_batch(architecture: str) -> None:
    model = make(architecture)
    model.threshold.fill_(0.7)
    a, b = data(64)
    whole = model.encode(a, b)
    assert 0 < int((whole > 0).sum()) < whole.numel()
    alone = torch.cat([model.encode(a[i : i + 1], b[i : i + 1]) for i in range(64)])
    torch.testing.assert_close(whole, alone)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_auxiliary_gradient_reaches_dead_encoder_rows_and_equals_autograd(
    architecture: str,
) -> None:
    model = make(architecture)
    with torch.no_grad():
        model.enc_bias_m[2] = -100.0  # never fires: its pre-activation is negative everywhere
    trainer = Trainer(model, TrainingConfig(10, 16, 1e-3, 0))
    trainer.idle_m[2] = DEAD_STEPS
    a, b = data()
    x = model.inputs(a, b)
    pre = model.pre_activations(x)
    kept, _ = model.keep_largest(pre.relu())
    assert not kept[:, 2].any()
    errors = model.errors(kept, x)
    (AUX_WEIGHT * trainer._auxiliary(pre, errors, x, a.shape[0] * 12)).backward()
    found = model.enc_a_ap.grad, model.enc_b_bp.grad
    assert found[0] is not None
    assert found[1] is not None
    assert found[0][:, 2].abs().min() > 0
    assert found[1][:, 2].abs().min() > 0

    encoder_a = model.enc_a_ap[:, 2].detach().requires_grad_()
    alone = a @ encoder_a + b @ model.enc_b_bp[:, 2].detach() + model.enc_bias_m[2].detach()
    left_a = errors.a_ta.detach() - alone[:, None] * model.dec_a_pa[2].detach()
    left_b = errors.b_tb.detach() - alone[:, None] * model.dec_b_pb[2].detach()
    (AUX_WEIGHT * (left_a.square().sum() + left_b.square().sum()) / (16 * 12)).backward()
    torch.testing.assert_close(found[0][:, 2], encoder_a.grad)
    assert float(found[0][:, [0, 1]].abs().sum()) == 0.0  # the living have no part in it


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two, other = make("dfc"), make("dfc"), make("dfc", seed=1)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.dec_a_pa, other.dec_a_pa)
