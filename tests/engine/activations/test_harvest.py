"""Batches of a harvest."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from pytest_crossdiff.engine.activations.batches import batches
from pytest_crossdiff.engine.activations.shard_reading import BATCH_TOKENS


@pytest.mark.parametrize("pieces", [400, 2000])
@pytest.mark.parametrize("budget", BATCH_TOKENS.values())
def test_batches_by_length_are_hardly_padded(pieces: int, budget: int) -> None:
    lengths = sorted(np.random.default_rng(0).integers(3, 257, pieces).tolist())
    jobs = [SimpleNamespace(encoded=SimpleNamespace(input_ids=range(n))) for n in lengths]
    found = [[len(job.encoded.input_ids) for job in batch] for batch in batches(jobs, budget)]
    assert [n for batch in found for n in batch] == lengths
    padded = sum(len(batch) * batch[-1] for batch in found)
    assert all(len(batch) * batch[-1] <= budget for batch in found)
    assert 1 - sum(lengths) / padded < 0.05
    assert len(found) <= 1 + 128 * padded / budget
