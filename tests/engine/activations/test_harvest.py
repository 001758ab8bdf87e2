"""Batches of a harvest, and its columns read from shards."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest

from pytest_crossdiff.engine.activations.batches import Packing, batches, tokenised
from pytest_crossdiff.engine.activations.columns import StoredColumn
from pytest_crossdiff.engine.activations.rendering import Encoded
from pytest_crossdiff.engine.activations.shard_reading import BATCH_TOKENS


@pytest.mark.parametrize("pieces", [400, 2000])
@pytest.mark.parametrize("budget", BATCH_TOKENS.values())
def test_batches_by_length_are_hardly_padded(pieces: int, budget: int) -> None:
    lengths = sorted(np.random.default_rng(0).integers(3, 257, pieces).tolist())
    jobs = [SimpleNamespace(length=n) for n in lengths]
    found = [[job.length for job in batch] for batch in batches(jobs, budget)]
    assert [n for batch in found for n in batch] == lengths
    padded = sum(len(batch) * batch[-1] for batch in found)
    assert all(len(batch) * batch[-1] <= budget for batch in found)
    assert 1 - sum(lengths) / padded < 0.05
    assert len(found) <= 1 + 128 * padded / budget


def test_a_column_of_several_shards_is_read_like_one_array() -> None:
    chance = np.random.default_rng(0)
    parts = [chance.integers(0, 99, n, dtype=np.int32) for n in (5, 1, 7)]
    column, whole = StoredColumn(parts), np.concatenate(parts)
    assert len(column) == len(whole)
    np.testing.assert_array_equal(np.asarray(column), whole)
    np.testing.assert_array_equal(column <= whole[3], whole <= whole[3])
    np.testing.assert_array_equal(whole == column, np.ones(13, dtype=bool))
    for rows in (np.arange(13), np.array([12, 0, 5, 5, 6]), np.array([2, 3]), np.arange(0)):
        np.testing.assert_array_equal(column[rows], whole[rows])
        assert column[rows].dtype == np.int32


def test_packed_pieces_are_what_they_were_and_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_crossdiff.engine.activations.batches.PACKED_TOKENS", 8)
    packing, chance = Packing(), np.random.default_rng(0)

    def encoded(n: int) -> Encoded:
        ids, starts, ends = chance.integers(0, 99, (3, n), dtype=np.int32)
        return Encoded(ids, starts, ends, ids > 9, (ids % 3).astype(np.int8), n, 1, 2)

    made = [encoded(n) for n in (3, 5, 2, 20, 0, 4)]
    for before, job in zip(made, [packing.job(i, e) for i, e in enumerate(made)], strict=True):
        assert made[job.piece] is before
        assert job.length == len(before.input_ids)
        for name, value in vars(before).items():
            np.testing.assert_array_equal(getattr(job.encoded, name), value)


def test_pieces_are_tokenised_in_a_thread_that_ends_and_what_is_not_wanted_is_left_out() -> None:
    threads = set()

    def encode(piece: int) -> Encoded:
        threads.add(threading.current_thread())
        ids = np.full(piece, piece, dtype=np.int32)
        return Encoded(ids, ids, ids, ids > 0, ids.astype(np.int8), 0, 0)

    pieces = [(number, number % 5) for number in range(200)]  # more than are tokenised at once
    jobs = tokenised(pieces, encode, lambda encoded: len(encoded.input_ids) > 0)
    assert [job.piece for job in jobs] == [number for number, piece in pieces if piece]
    assert all(job.encoded.input_ids.tolist() == [job.length] * job.length for job in jobs)
    assert [thread.is_alive() for thread in threads] == [False]
    assert threading.current_thread() not in threads
