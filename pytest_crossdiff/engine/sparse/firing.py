"""Activations of which few are not 0, kept block by block in a small part of the memory that all of
them would take.

Axes: n tokens, t tokens of a block, p features.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Columns = int | Sequence[int] | NDArray[np.int64]


class _Block(NamedTuple):
    tokens: int
    token: NDArray[np.int32]
    feature: NDArray[np.int32]
    value: NDArray[np.float32]


def _kept_apart(values: NDArray[Any]) -> NDArray[Any]:
    """A copy in memory of its own: small arrays that stay, made between large ones that go, leave
    holes that no large one fits into.
    """
    memory = mmap.mmap(-1, max(1, values.nbytes))
    made = np.frombuffer(memory, dtype=values.dtype, count=len(values))
    made[:] = values
    return made


class SparseActivations:
    """Stands where an array of shape (n, p) would stand, as far as `firing[:, columns]` goes.

    peak_p: each feature's largest activation.  count_p: on how many tokens it fires.
    """

    def __init__(self, features: int) -> None:
        self.peak_p = np.zeros(features, dtype=np.float32)
        self.count_p = np.zeros(features, dtype=np.int64)
        self._blocks: list[_Block] = []

    @property
    def shape(self) -> tuple[int, int]:
        return sum(block.tokens for block in self._blocks), len(self.peak_p)

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return len(self._blocks)

    def add(
        self,
        tokens: int,
        token: NDArray[np.integer],
        feature: NDArray[np.integer],
        value: NDArray[np.float32],
    ) -> None:
        """Append a block of so many tokens by its activations that aren't 0."""
        token, feature = token.astype(np.int32), feature.astype(np.int32)
        self._blocks.append(_Block(tokens, *map(_kept_apart, (token, feature, value))))
        np.maximum.at(self.peak_p, feature, value)
        self.count_p += np.bincount(feature, minlength=len(self.count_p))

    def select_features(self, positions: NDArray[np.int64]) -> SparseActivations:
        """The same for some of the features, in that order."""
        made = SparseActivations(len(positions))
        for number, block in enumerate(self._blocks):
            made.add(block.tokens, *self._of(number, positions))
        return made

    def _of(
        self, number: int, columns: Sequence[int] | NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float32]]:
        """The activations of one block that are of `columns`: token, place among these, value."""
        _, token, feature, value = self._blocks[number]
        column_p = np.full(len(self.peak_p), -1)
        column_p[columns] = np.arange(len(columns))
        column = column_p[feature]
        of = column >= 0
        return token[of], column[of], value[of]

    def block(self, number: int, columns: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """One block of some features, shape (t, columns)."""
        token, column, value = self._of(number, columns)
        made = np.zeros((self._blocks[number].tokens, len(columns)), dtype=np.float32)
        made[token, column] = value
        return made

    def __getitem__(self, key: tuple[slice, Columns]) -> NDArray[np.float32]:
        every, columns = key
        assert every == slice(None), "whole columns are all that can be asked for"
        chosen = np.atleast_1d(np.asarray(columns, dtype=np.int64))
        made = np.concatenate([self.block(i, chosen) for i in range(self.blocks)])
        return made[:, 0] if isinstance(columns, (int, np.integer)) else made
