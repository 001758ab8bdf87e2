"""Dictionaries that are trained side by side: each on its own cores, and the same to the bit."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import torch

from benchmarks.toy import toy
from pytest_crossdiff.engine.dictionary.crosscoder import CrosscoderConfig
from pytest_crossdiff.engine.dictionary.crosscoders import new_trainers
from pytest_crossdiff.engine.dictionary.side_by_side import SHORT, side_by_side
from pytest_crossdiff.engine.dictionary.training import TrainingConfig, train
from pytest_crossdiff.progress import SilentProgress
from pytest_crossdiff.store.cache import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CPU = torch.device("cpu")


@pytest.fixture
def with_threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_it_changes_no_bit_of_a_dictionary(
    with_threads: Callable[[int], None], tmp_path: Path
) -> None:
    t = toy(tokens=2_000)
    widths = t.pairs.a.harvest.width, t.pairs.b.harvest.width
    whole = CrosscoderConfig("innovation", *widths, 48, 8, 8, 4)
    configs = {0: whole, 1: whole.exclusive_only(), 2: whole.exclusive_only()}
    states = []
    for threads in (1, 3):
        with_threads(threads)
        trainers = new_trainers(configs, TrainingConfig(30, 256, 2e-3), t.pairs, CPU)
        store = Store(tmp_path / f"cache{threads}")
        entries = [store.entry("crosscoder", f"seed{seed}") for seed in configs]
        train(trainers, t.pairs, entries, CPU, SilentProgress())
        states.append([trainer.model.state_dict() for trainer in trainers])
        assert torch.get_num_threads() == threads
    for alone, beside in zip(*states, strict=True):
        assert alone.keys() == beside.keys()
        assert all(torch.equal(alone[name], beside[name]) for name in alone)


def test_pieces_run_at_once_on_their_share_of_the_threads(
    with_threads: Callable[[int], None],
) -> None:
    with_threads(5)
    both = threading.Barrier(2, timeout=60)
    shares: list[int] = []

    def piece() -> None:
        both.wait()  # for the other one, which therefore runs now
        shares.append(torch.get_num_threads())

    with side_by_side(2, CPU, SHORT) as run:
        run([piece, piece])
    assert shares == [2, 2]
    assert torch.get_num_threads() == 5


@pytest.mark.parametrize(("threads", "device"), [(1, "cpu"), (4, "cuda")])
def test_one_thread_or_another_device_does_one_after_the_other(
    threads: int, device: str, with_threads: Callable[[int], None]
) -> None:
    with_threads(threads)
    seen: list[object] = []
    with side_by_side(3, torch.device(device), SHORT) as run:
        run([lambda i=i: seen.append((i, threading.current_thread())) for i in range(3)])
    assert seen == [(i, threading.main_thread()) for i in range(3)]


@pytest.mark.parametrize("threads", [1, 2])
def test_what_pieces_return_stands_in_their_order(
    threads: int, with_threads: Callable[[int], None]
) -> None:
    with_threads(threads)
    done: list[threading.Thread] = []
    with side_by_side(2, CPU) as run:
        made = run(
            [lambda i=i: i * i for i in range(4)], lambda: done.append(threading.current_thread())
        )
    assert made == [0, 1, 4, 9]
    assert done == [threading.main_thread()] * 4


def test_what_a_piece_raises_is_raised(with_threads: Callable[[int], None]) -> None:
    with_threads(2)
    with pytest.raises(ZeroDivisionError), side_by_side(2, CPU, SHORT) as run:
        run([lambda: 1 / 0, lambda: None])
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("count", "product", "share"), [(1, SHORT - 1, 1), (2, SHORT - 1, 1), (1, SHORT, 4)]
)
def test_a_short_product_is_not_divided_among_threads(
    count: int, product: int, share: int, with_threads: Callable[[int], None]
) -> None:
    with_threads(4)
    shares: list[int] = []
    with side_by_side(count, CPU, product) as run:
        run([lambda: shares.append(torch.get_num_threads())])
    assert shares == [share]
    assert torch.get_num_threads() == 4
