"""Ridge from moments against the textbook's formula on the data themselves."""

from __future__ import annotations

import torch

from pytest_crossdiff.engine.regression.ridge import (
    PROBES,
    STRENGTHS,
    LinearMap,
    Moments,
    design,
    fit,
    fit_jointly,
    fit_map,
    squared_error,
)


def folds_of(x: torch.Tensor, y: torch.Tensor, count: int = 4) -> list[Moments]:
    folds = []
    for part_x, part_y in zip(x.chunk(count), y.chunk(count), strict=True):
        folds.append(Moments(x.shape[1], y.shape[1]))
        for block in range(0, len(part_x), 7):  # streamed in uneven blocks
            folds[-1].add(part_x[block : block + 7], part_y[block : block + 7])
    return folds


def ridge(x: torch.Tensor, y: torch.Tensor, strength: float) -> LinearMap:
    x, y = x.double(), y.double()
    xc, yc = x - x.mean(0), y - y.mean(0)
    inner = xc.T @ xc + len(x) * strength * torch.eye(x.shape[1], dtype=torch.float64)
    w = torch.linalg.solve(inner, xc.T @ yc)
    return LinearMap(w, y.mean(0) - x.mean(0) @ w)


def sample(n: int = 400, d: int = 12, p: int = 3, noise: float = 0.5) -> tuple[torch.Tensor, ...]:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, generator=g) * torch.logspace(0, -2, d) + 0.1
    y = x @ torch.randn(d, p, generator=g) + noise * torch.randn(n, p, generator=g) - 5.0
    return x, y


def test_fit_is_the_ridge_of_the_strength_that_predicts_left_out_folds_best() -> None:
    x, y = sample()
    unit = float(x.double().var(0, correction=0).mean())
    tried = STRENGTHS[PROBES]
    errors = torch.zeros(len(tried), 3, dtype=torch.float64)
    for fold in range(4):
        rows = torch.arange(400) // 100 == fold
        for i, s in enumerate(tried.tolist()):
            found = ridge(x[~rows], y[~rows], s * unit)
            errors[i] += (found(x[rows].double()) - y[rows]).square().sum(0)
    best = errors.argmin(0)
    made = fit(folds_of(x, y))
    for p in range(3):
        expected = ridge(x, y[:, [p]], float(tried[best[p]]) * unit)
        torch.testing.assert_close(
            made.map.weight_dp[:, p], expected.weight_dp[:, 0].float(), rtol=1e-3, atol=1e-4
        )
    spread = (y.double() - y.double().mean(0)).square().sum(0)
    torch.testing.assert_close(made.r2_p, 1 - errors.min(0).values / spread, rtol=1e-4, atol=1e-6)


def test_a_joint_fit_has_the_strength_that_predicts_all_targets_of_left_out_folds_best() -> None:
    x, y = sample(noise=8.0)
    unit = float(x.double().var(0, correction=0).mean())
    errors = torch.zeros(len(STRENGTHS), dtype=torch.float64)
    for fold in range(4):
        rows = torch.arange(400) // 100 == fold
        for i, s in enumerate(STRENGTHS.tolist()):
            found = ridge(x[~rows], y[~rows], s * unit)
            errors[i] += (found(x[rows].double()) - y[rows]).square().sum()
    best = int(errors.argmin())
    assert 0 < best < len(STRENGTHS) - 1, "neither end of what is tried"
    folds = folds_of(x, y)
    made, expected = fit_jointly(folds, design(folds)), ridge(x, y, float(STRENGTHS[best]) * unit)
    torch.testing.assert_close(made.map.weight_dp, expected.weight_dp.float(), rtol=1e-3, atol=1e-4)
    assert abs(made.error / float(errors[best]) - 1) < 1e-6


def test_a_target_that_never_varies_has_no_r2() -> None:
    x, y = sample()
    y[:, 1] = 0.0
    assert float(fit(folds_of(x, y)).r2_p[1]) == 0.0


def test_pure_noise_is_not_predicted() -> None:
    x, _ = sample()
    noise = torch.randn(400, 5, generator=torch.Generator().manual_seed(2))
    assert float(fit(folds_of(x, noise)).r2_p.max()) < 0.05


def test_the_map_between_equal_models_is_the_identity() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(60, 40, generator=g)  # too few rows to learn 40 x 40 weights from nothing
    y = x + 0.01 * torch.randn(60, 40, generator=g)
    found = fit_map(folds_of(x, y))
    assert float((found.weight_dp - torch.eye(40)).abs().max()) < 0.05


def test_the_map_between_unlike_models_is_plain_ridge() -> None:
    g = torch.Generator().manual_seed(0)
    x = torch.randn(4000, 8, generator=g)
    w = torch.randn(8, 8, generator=g)
    found = fit_map(folds_of(x, x @ w))
    torch.testing.assert_close(found.weight_dp, w, rtol=1e-2, atol=1e-2)


def test_squared_error_from_moments_is_that_on_the_data() -> None:
    x, y = sample()
    found = LinearMap(torch.randn(12, 3), torch.randn(3))
    whole = Moments(12, 3)
    whole.add(x, y)
    expected = float((found(x) - y).double().square().sum())
    assert abs(squared_error(found, whole) - expected) < 1e-3 * expected
