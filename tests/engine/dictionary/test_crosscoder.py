"""The crosscoder against its equations (METHOD 2)."""

from __future__ import annotations

import pytest
import torch

from pytest_crossdiff.engine.dictionary.crosscoder import (
    Crosscoder,
    CrosscoderConfig,
    Inputs,
    Outputs,
    residuals,
)
from pytest_crossdiff.engine.dictionary.step import (
    AUX_WEIGHT,
    DeadFeatures,
    add_auxiliary,
    dead_features,
    reconstruction_errors,
    set_gradients,
    squared_error,
)
from pytest_crossdiff.engine.dictionary.training import (
    CHECK_INTERVAL,
    DEAD_TOKENS,
    Trainer,
    TrainingConfig,
)
from pytest_crossdiff.engine.sparse.kernels import (
    GUESS,
    ActiveFeatures,
    _select_without_sync,
    select,
)

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
    assert torch.equal(pre[:3], model.pre_activations(model.inputs(a, b * 9))[:3])
    assert torch.equal(pre[10:], model.pre_activations(model.inputs(a * 9, b))[10:])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_reconstruction_is_the_sum_of_directions(architecture: str) -> None:
    model = make(architecture)
    f = torch.rand(4, model.config.features)
    first = 3 if architecture == "innovation" else 0  # there, exclusives aim at the innovation
    a = f[:, first:10] @ model.dec_a_pa[first:] + model.dec_bias_a
    torch.testing.assert_close(model.reconstruct(f).a_ta, a)


def choose(
    model: Crosscoder, pre_mt: torch.Tensor, last: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Which of the pre-activations are kept, shape (m, t), and the cuts."""
    counts = [(group, k * pre_mt.shape[1]) for group, k in model.config.budgets]
    with torch.no_grad():
        active, thresholds = select(pre_mt, model.decoder_norms(), counts, last)
    kept = torch.zeros_like(pre_mt, dtype=torch.bool)
    kept[active.feature, active.token] = True
    assert torch.equal(active.value, pre_mt[kept])
    assert torch.equal(active.firing_counts(), kept.sum(1).float())
    return kept, thresholds


def test_batch_top_k_keeps_the_largest_scores_of_the_batch() -> None:
    model = make("dfc")
    f = torch.rand(13, 16)
    kept, cut = choose(model, f)
    scores = (f * model.decoder_norms()[:, None]).detach()
    assert int(kept.sum()) == 3 * 16
    assert float(scores[kept].min()) == float(cut[0])
    assert float(scores[~kept].max()) < float(cut[0])


@pytest.mark.parametrize("last", [0.0, 0.5, 1.0, 1 / GUESS, 50.0])
def test_the_cuts_of_the_last_batch_never_change_the_selection(last: float) -> None:
    model = make("innovation")
    f = torch.randn(13, 16)
    kept, cut = choose(model, f)
    again, same = choose(model, f, last * cut)
    assert torch.equal(kept, again)
    assert torch.equal(cut, same)


def test_where_few_are_positive_those_are_kept() -> None:
    model = make("dfc")
    f = -torch.rand(13, 16)
    f[2, 3] = f[12, 0] = 0.5
    kept, cut = choose(model, f)
    assert kept.nonzero().tolist() == [[2, 3], [12, 0]]
    assert float(cut[0]) == 0.0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_selection_of_fixed_size_keeps_the_same(architecture: str) -> None:
    model = make(architecture)
    f_mt = torch.randn(model.config.features, 16)
    for f in (f_mt, f_mt - 2):  # enough that are positive; too few
        counts = [(group, k * 16) for group, k in model.config.budgets]
        norms = model.decoder_norms().detach()
        active, thresholds = select(f, norms, counts)
        fixed, same = _select_without_sync(f, norms, counts)
        assert len(fixed.token) == sum(min(c, f[group].numel()) for group, c in counts)
        positive = fixed.value > 0
        assert torch.equal(active.feature, fixed.feature[positive])
        assert torch.equal(active.token, fixed.token[positive])
        assert torch.equal(active.value, fixed.value[positive])
        assert torch.equal(active.firing_counts(), fixed.firing_counts())
        assert torch.equal(thresholds, same)


def test_score_is_the_root_of_summed_squares_so_exclusives_are_not_handicapped() -> None:
    model = make("dfc")
    norms = model.decoder_norms()
    a, b = model.dec_a_pa, model.dec_b_pb
    torch.testing.assert_close(norms[3], (a[3].square().sum() + b[0].square().sum()).sqrt())
    torch.testing.assert_close(norms[1], a[1].norm())
    torch.testing.assert_close(norms[11], b[8].norm())


def test_innovation_has_a_budget_of_its_own_for_each_model() -> None:
    model = make("innovation")
    f = torch.rand(13, 16)
    f[:3] *= 1e-6  # under one joint budget none of these would win a place
    f[10:] *= 1e-6
    kept, _ = choose(model, f)
    assert int(kept[:3].sum()) == 16
    assert int(kept[10:].sum()) == 16


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_inference_does_not_depend_on_the_batch(architecture: str) -> None:
    model = make(architecture)
    model.threshold.fill_(0.7)
    a, b = data(64)
    whole = model.encode(a, b)
    assert 0 < int((whole > 0).sum()) < whole.numel()
    alone = torch.cat([model.encode(a[i : i + 1], b[i : i + 1]) for i in range(64)])
    torch.testing.assert_close(whole, alone)


def learn(
    model: Crosscoder, x: Inputs, size: int, dead: DeadFeatures | None = None
) -> ActiveFeatures:
    """Set the gradients of a step by the equations; return the active pairs."""
    with torch.no_grad():
        pre_mt = model.pre_activations(x)
        counts = [(group, k * len(x.a_ta)) for group, k in model.config.budgets]
        active, _ = select(pre_mt, model.decoder_norms(), counts)
        errors = reconstruction_errors(model, x, active)
        set_gradients(model, x, errors, active, size)
        if dead is not None:
            add_auxiliary(model, x, errors, pre_mt, dead, size)
    return active


def dense_errors(model: Crosscoder, x: Inputs, active: ActiveFeatures) -> Outputs:
    """The errors by plain dense products, for autograd to differentiate."""
    kept = torch.zeros(model.config.features, len(x.a_ta), dtype=torch.bool)
    kept[active.feature, active.token] = True
    return model.errors((model.pre_activations(x).relu() * kept).T, x)


def assert_gradients_are_those_of(found: Crosscoder, reference: Crosscoder) -> None:
    for (name, p), q in zip(found.named_parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("k", [3, 20])  # above the positive: all of them are kept
def test_gradients_by_hand_are_those_of_dense_autograd(architecture: str, k: int) -> None:
    sparse, dense = (make(architecture, k=k).double() for _ in range(2))
    x = sparse.inputs(*(x.double() for x in data(32)))
    active = learn(sparse, x, size=7)
    expected = dense_errors(dense, x, active)
    (sum(e.square().sum() for e in expected if e is not None) / 7).backward()
    assert_gradients_are_those_of(sparse, dense)
    errors = reconstruction_errors(sparse, x, active)
    torch.testing.assert_close(errors.squared(), expected.squared())
    torch.testing.assert_close(squared_error(errors), expected.squared().sum())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gradients_by_hand_agree_with_finite_differences(architecture: str) -> None:
    model = make(architecture).double()
    x = model.inputs(*(x.double() for x in data(6)))
    active = learn(model, x, size=1)
    with torch.no_grad():
        for p in model.parameters():
            for i in range(0, p.numel(), 7):
                was, values = float(p.view(-1)[i]), []
                for change in (1e-6, -1e-6):
                    p.view(-1)[i] = was + change
                    values.append(float(dense_errors(model, x, active).squared().sum()))
                p.view(-1)[i] = was
                assert p.grad.view(-1)[i] == pytest.approx(
                    (values[0] - values[1]) / 2e-6, rel=1e-6, abs=1e-7
                )


def dense_auxiliary(
    model: Crosscoder, x: Inputs, left: Outputs, dead: list[int], k: int
) -> torch.Tensor:
    """AuxK by plain dense products: the dead features' k largest pre-activations on each token."""
    pre_tm = model.pre_activations(x).T
    alone_tm = torch.full_like(pre_tm, -torch.inf)
    alone_tm[:, dead] = pre_tm.detach()[:, dead]
    kept_tm = torch.zeros_like(pre_tm).scatter(1, alone_tm.topk(k, dim=1).indices, 1.0)
    made = model.reconstruct(pre_tm * kept_tm, bias=False)
    return residuals(left, made).squared().sum()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dead", [[5], [1, 4, 5, -1]])  # k is 2: all of one, some of five
def test_auxiliary_gradient_reaches_dead_encoder_rows_and_equals_autograd(
    architecture: str, dead: list[int]
) -> None:
    found, reference = (make(architecture).double() for _ in range(2))
    dead = [place % found.config.features for place in dead]
    for model in (found, reference):
        with torch.no_grad():
            model.enc_bias_m[dead] = -100.0  # their pre-activations are negative everywhere
    x = found.inputs(*(x.double() for x in data(32)))
    mask = torch.zeros(found.config.features, dtype=torch.bool)
    mask[dead] = True
    active = learn(found, x, 7, dead_features(found, mask))
    assert not set(dead) & set(active.feature.tolist())
    assert found.enc_a_pa.grad[5].abs().min() > 0
    assert found.enc_b_pb.grad[5 - found.config.baseline_only].abs().min() > 0

    errors = dense_errors(reference, x, active)
    left = Outputs(*(e if e is None else e.detach() for e in errors))
    auxiliary = dense_auxiliary(reference, x, left, dead, min(2, len(dead)))
    ((errors.squared().sum() + AUX_WEIGHT * auxiliary) / 7).backward()
    assert_gradients_are_those_of(found, reference)


def test_features_count_as_dead_after_the_tokens_they_may_be_silent_for() -> None:
    model = make("dfc")
    with torch.no_grad():
        model.enc_bias_m[5] = -100.0
    trainer = Trainer(model, TrainingConfig(1000, 16, 0.0))
    trainer.idle_m[5] = DEAD_TOKENS // 16 - 1
    trainer.train_step(*data())
    assert trainer.dead == 1
    assert model.enc_a_pa.grad is not None
    assert not model.enc_a_pa.grad[5].any()  # the next look at the dead finds it
    for _ in range(CHECK_INTERVAL):
        trainer.train_step(*data())
    assert model.enc_a_pa.grad[5].all()
    trainer.idle_m[5] = 0
    for _ in range(CHECK_INTERVAL):
        trainer.train_step(*data())
    assert not model.enc_a_pa.grad[5].any()


def test_the_same_seed_gives_the_same_weights() -> None:
    one, two, other = make("dfc"), make("dfc"), make("dfc", seed=1)
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))
    assert not torch.equal(one.dec_a_pa, other.dec_a_pa)
