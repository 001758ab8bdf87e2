"""The crosscoder against its equations (METHOD 2)."""

from __future__ import annotations

import pytest
import torch

from pytest_crossdiff.engine.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.engine.training import AUX_WEIGHT, DEAD_TOKENS, Trainer, TrainingConfig

ARCHITECTURES = ["standard", "dfc", "innovation"]


def make(architecture: str, *, k: int = 3, seed: int = 0) -> Crosscoder:
    own = 0 if architecture == "standard" else 3
    return Crosscoder(CrosscoderConfig(architecture, 5, 7, 10 - own, own, own, k, 1), seed)


def data(tokens: int = 16, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(tokens, 5, generator=g), torch.randn(tokens, 7, generator=g)


def test_exclusive_features_have_rows_in_their_own_model_only() -> None:
    model = make("dfc")
    assert model.dec_a_pa.shape == (10, 5)  # 3 of its own and 7 shared
    assert model.dec_b_pb.shape == (10, 7)
    f = torch.zeros(1, 13)
    f[0, 0] = 1.0  # the first baseline-only feature
    made, empty = model.reconstruct(f), model.reconstruct(f * 0)
    assert not torch.equal(made.a_ta, empty.a_ta)
    assert torch.equal(made.b_tb, empty.b_tb)
    a, b = data()
    pre = model.pre_activations(model.inputs(a, b))
    assert torch.equal(pre[:, :3], model.pre_activations(model.inputs(a, b * 9))[:, :3])
    assert torch.equal(pre[:, 10:], model.pre_activations(model.inputs(a * 9, b))[:, 10:])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_reconstruction_is_the_sum_of_directions(architecture: str) -> None:
    model = make(architecture)
    f = torch.rand(4, model.config.features)
    first = 3 if architecture == "innovation" else 0  # there, exclusives aim at the innovation
    a = f[:, first:10] @ model.dec_a_pa[first:] + model.dec_bias_a
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
        errors, _, _ = model.learn(x)
        return errors.squared().sum()

    assert torch.autograd.gradcheck(loss, weights)


def test_batch_top_k_keeps_the_largest_scores_of_the_batch() -> None:
    model = make("dfc")
    f = torch.rand(16, 13)
    kept, cut = model.select(f)
    scores = (f * model.decoder_norms()).detach()
    assert int(kept.sum()) == 3 * 16
    assert float(scores[kept].min()) == float(cut[0])
    assert float(scores[~kept].max()) < float(cut[0])


@pytest.mark.parametrize("guess", [0.0, 0.5, 0.99, 50.0])
def test_a_guess_of_the_cut_never_changes_the_selection(guess: float) -> None:
    model = make("dfc")
    f = torch.rand(16, 13)
    kept, cut = model.select(f)
    guessed, same = model.select(f, guess=guess * cut)
    assert torch.equal(kept, guessed)
    assert torch.equal(cut, same)


def test_score_is_the_root_of_summed_squares_so_exclusives_are_not_handicapped() -> None:
    model = make("dfc")
    norms = model.decoder_norms()
    a, b = model.dec_a_pa, model.dec_b_pb
    torch.testing.assert_close(norms[3], (a[3].square().sum() + b[0].square().sum()).sqrt())
    torch.testing.assert_close(norms[1], a[1].norm())
    torch.testing.assert_close(norms[11], b[8].norm())


def test_innovation_has_a_budget_of_its_own_for_each_model() -> None:
    model = make("innovation")
    f = torch.rand(16, 13)
    f[:, :3] *= 1e-6  # under one joint budget none of these would win a place
    f[:, 10:] *= 1e-6
    kept, _ = model.select(f)
    assert int(kept[:, :3].sum()) == 16
    assert int(kept[:, 10:].sum()) == 16


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
    dead, row_b = 5, 5 - model.config.baseline_only
    with torch.no_grad():
        model.enc_bias_m[dead] = -100.0  # its pre-activation is negative everywhere
    trainer = Trainer(model, TrainingConfig(10, 16, 1e-3, 0))
    trainer.idle_m[dead] = DEAD_TOKENS
    a, b = data()
    x = model.inputs(a, b)
    errors, on, _ = model.learn(x)
    assert dead not in on.feature
    (AUX_WEIGHT * trainer._auxiliary(x, errors, a.shape[0] * 12)).backward()
    found_a, found_b = model.enc_a_pa.grad, model.enc_b_pb.grad
    assert found_a is not None
    assert found_b is not None
    assert found_a[dead].abs().min() > 0
    assert found_b[row_b].abs().min() > 0

    row = model.enc_a_pa[dead].detach().requires_grad_()
    alone = a @ row + b @ model.enc_b_pb[row_b].detach() + model.enc_bias_m[dead].detach()
    left_a = errors.a_ta.detach() - alone[:, None] * model.dec_a_pa[dead].detach()
    left_b = errors.b_tb.detach() - alone[:, None] * model.dec_b_pb[row_b].detach()
    (AUX_WEIGHT * (left_a.square().sum() + left_b.square().sum()) / (16 * 12)).backward()
    torch.testing.assert_close(found_a[dead], row.grad)
    assert float(found_a[6:].abs().sum()) == 0.0  # the living have no part in it


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sparse_products_give_the_gradients_of_dense_autograd(architecture: str) -> None:
    sparse, dense = make(architecture), make(architecture)
    x = sparse.inputs(*data(32))
    errors, on, _ = sparse.learn(x)
    errors.squared().sum().backward()
    pre = dense.pre_activations(x)
    kept, _ = dense.select(pre)
    expected = dense.errors(pre.relu() * kept, x)
    expected.squared().sum().backward()
    assert len(on.token) == int(kept.sum())
    torch.testing.assert_close(errors.squared(), expected.squared())
    for (name, p), q in zip(sparse.named_parameters(), dense.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, msg=lambda m, name=name: f"{name}: {m}")


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two, other = make("dfc"), make("dfc"), make("dfc", seed=1)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.dec_a_pa, other.dec_a_pa)
