"""The divergence of two predictions, and the temperature that brings them nearest."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch

from pytest_crossdiff.engine.metrics.divergence import divergences
from pytest_crossdiff.engine.metrics.final_states import FinalStates
from pytest_crossdiff.engine.metrics.heads import Head
from pytest_crossdiff.engine.metrics.matching import MatchedTokens, SharedWords
from pytest_crossdiff.progress import SilentProgress

ROWS, WIDTH, WORDS = 300, 6, [f"w{i}" for i in range(12)]


def model(weight_vd: torch.Tensor, words: list[str] = WORDS) -> FinalStates:
    """The same states in every model; their head makes the difference."""
    states_nd = torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(0))
    column = np.arange(ROWS, dtype=np.int32)
    return FinalStates(
        states_nd, column % len(words), column, column, column + 1, Head(weight_vd), words
    )


@pytest.fixture
def weight_vd() -> torch.Tensor:
    return torch.randn(len(WORDS), WIDTH, generator=torch.Generator().manual_seed(1))


def compared(a: FinalStates, b: FinalStates):
    rows = np.arange(ROWS)
    matched = MatchedTokens(SharedWords.of(a.words, b.words), rows, rows)
    with contextlib.ExitStack() as stack:
        bar = stack.enter_context(SilentProgress().phase("compare", ROWS, "token"))
        return divergences(a, b, matched, torch.device("cpu"), bar)


@pytest.mark.parametrize("times", [1.6, 0.5, 4.0])
def test_a_candidate_that_is_surer_of_the_same_is_undone_by_its_temperature(weight_vd, times):
    found = compared(model(weight_vd), model(times * weight_vd))
    assert found.temperature == pytest.approx(times, rel=1e-4)
    assert found.kl_m.mean() > 0.05
    assert found.tempered_m.max() < 1e-6


def test_the_temperature_is_the_one_that_a_search_finds(weight_vd):
    noise_vd = torch.randn(WIDTH, len(WORDS), generator=torch.Generator().manual_seed(2)).T
    a, b = model(weight_vd), model(1.5 * weight_vd + 0.5 * noise_vd)
    found = compared(a, b)
    log_p = a.head.logits(a.states_nd).double().log_softmax(1)
    logits = b.head.logits(b.states_nd).double()

    def mean_kl(temperature: float) -> float:
        log_q = (logits / temperature).log_softmax(1)
        return float((log_p.exp() * (log_p - log_q)).sum(1).mean())

    grid = np.linspace(0.5, 4.0, 3501)
    best = grid[np.argmin([mean_kl(t) for t in grid])]
    assert found.temperature == pytest.approx(best, abs=2e-3)
    assert found.tempered_m.mean() == pytest.approx(mean_kl(found.temperature), rel=1e-5)
    assert found.kl_m.mean() == pytest.approx(mean_kl(1.0), rel=1e-5)


def test_equal_models_have_temperature_one(weight_vd):
    found = compared(model(weight_vd), model(weight_vd))
    assert found.temperature == pytest.approx(1.0, abs=1e-6)
    assert found.tempered_m.max() < 1e-9


def test_words_that_only_the_candidate_has_enter_its_temperature(weight_vd):
    """What it says of new words is moved away from the shared ones at every temperature."""
    more_vd = torch.cat([weight_vd, torch.zeros(1, WIDTH)])
    b = model(2.0 * more_vd, [*WORDS, "new"])
    found = compared(model(weight_vd), b)
    log_p = model(weight_vd).head.logits(b.states_nd).double().log_softmax(1)
    logits = b.head.logits(b.states_nd).double()
    grid = np.linspace(1.0, 5.0, 4001)
    kls = [
        float((log_p.exp() * (log_p - (logits / t).log_softmax(1)[:, :-1])).sum(1).mean())
        for t in grid
    ]
    assert found.temperature == pytest.approx(grid[np.argmin(kls)], abs=2e-3)
