"""What a test suite shares with us is after a measurement as it was before."""

from __future__ import annotations

import contextlib
import os
import random
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pytest
import torch

from pytest_crossdiff.engine import pipeline
from pytest_crossdiff.engine.beside import computed
from pytest_crossdiff.engine.isolation import undisturbed
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.store.cache import Store
from support import planted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

T = TypeVar("T")


def in_a_thread(work: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


STATE: dict[str, Callable[[], Any]] = {
    "random": random.getstate,
    "numpy's random state": lambda: str(np.random.get_state()),  # noqa: NPY002  the suite's
    "torch's random state": lambda: torch.get_rng_state().tolist(),
    "default number type": torch.get_default_dtype,
    "gradient mode": torch.is_grad_enabled,
    "threads": torch.get_num_threads,
    "threads in a thread that begins now": lambda: in_a_thread(torch.get_num_threads),
    "warning filters": lambda: list(warnings.filters),
    "environment": lambda: dict(os.environ),
}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("models")
    return planted.plain(folder / "plain"), planted.noisy(folder / "noisy")


@pytest.fixture(params=["float32", "float64 without gradients"])
def suite(request: pytest.FixtureRequest) -> Iterator[None]:
    """A suite with its own ideas."""
    before = torch.get_default_dtype()
    if request.param == "float32":
        yield
        return
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_default_dtype(before)


def test_a_first_measurement_leaves_everything_as_it_was(models, suite, tmp_path):
    random.seed(3)
    torch.manual_seed(3)
    before = {name: state() for name, state in STATE.items()}
    assert not pipeline.run(planted.quick(*models, tmp_path, tokens=4_000)).cached
    after = {name: state() for name, state in STATE.items()}
    assert [name for name in STATE if before[name] != after[name]] == []


def test_nor_does_what_is_computed_beside_a_stored_result(suite, tmp_path):
    entry = Store(tmp_path).entry("metrics", "ab" * 32)

    def compute() -> None:
        assert torch.get_default_dtype() == torch.float32
        assert torch.is_grad_enabled()
        torch.rand(1)
        random.random()
        os.environ["CROSSDIFF_TEST_ISOLATION"] = "1"
        entry.complete({})

    before = {name: state() for name, state in STATE.items()}
    found = computed(entry, entry.read_manifest, compute, lambda _: None, SilentProgress())
    assert found is not None
    after = {name: state() for name, state in STATE.items()}
    assert [name for name in STATE if before[name] != after[name]] == []


def test_threads_that_the_suite_begins_later_have_as_many_of_torch_as_before():
    threads = torch.get_num_threads()
    with undisturbed():
        in_a_thread(lambda: torch.set_num_threads(threads + 1))
        assert in_a_thread(torch.get_num_threads) == threads + 1
    assert in_a_thread(torch.get_num_threads) == threads


def test_the_suite_s_number_type_changes_no_result(models, tmp_path):
    plain = pipeline.run(planted.quick(*models, tmp_path / "a", tokens=4_000)).result
    torch.set_default_dtype(torch.float64)
    try:
        other = pipeline.run(planted.quick(*models, tmp_path / "b", tokens=4_000)).result
    finally:
        torch.set_default_dtype(torch.float32)
    assert (plain.features, plain.differences, plain.output) == (
        other.features, other.differences, other.output,
    )  # fmt: skip


def test_it_is_undone_after_an_error_too():
    with contextlib.suppress(KeyError), undisturbed():
        os.environ["CROSSDIFF_TEST_ISOLATION"] = "1"
        raise KeyError
    assert "CROSSDIFF_TEST_ISOLATION" not in os.environ
