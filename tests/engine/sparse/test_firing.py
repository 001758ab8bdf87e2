"""Sparse activations stand where the dense ones would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from pytest_crossdiff.engine.verification.grouping import Member, _products
from support.dictionaries import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.fixture
def dense() -> list[NDArray[np.float32]]:
    random = np.random.default_rng(0)
    size = (50, 6)
    return [
        ((random.random(size) < 0.2) * random.random(size)).astype(np.float32) for _ in range(2)
    ]


def test_columns_blocks_and_what_is_summed_up_are_those_of_the_dense_array(
    dense: list[NDArray[np.float32]],
) -> None:
    f_np = dense[0]
    firing = sparse(f_np, 20, 20, 35)  # one block is empty
    assert firing.shape == f_np.shape
    assert (firing[:, 2] == f_np[:, 2]).all()
    assert (firing[:, [4, 0]] == f_np[:, [4, 0]]).all()
    assert firing[:, []].shape == (50, 0)
    assert (firing.block(2, [5, 1]) == f_np[20:35][:, [5, 1]]).all()
    assert (firing.select_features(np.array([5, 1]))[:, [0, 1]] == f_np[:, [5, 1]]).all()
    assert (firing.peak_p == f_np.max(0)).all()
    assert (firing.count_p == (f_np > 0).sum(0)).all()


def test_products_of_features_of_several_dictionaries_keep_their_order(
    dense: list[NDArray[np.float32]],
) -> None:
    members = [Member(1, 3), Member(0, 2), Member(1, 0), Member(0, 5)]
    f_nq = np.stack([dense[m.dictionary][:, m.position] for m in members], axis=1)
    products, both, sums = _products([sparse(f, 20) for f in dense], members)
    np.testing.assert_allclose(products, f_nq.T @ f_nq, rtol=1e-5)
    assert (both == (f_nq > 0).T.astype(int) @ (f_nq > 0).astype(int)).all()
    np.testing.assert_allclose(sums, f_nq.sum(0), rtol=1e-6)
