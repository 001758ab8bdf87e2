"""Activations of which few are not 0, kept block by block in a small part of the memory that all of
them would take.

Axes: n tokens, t tokens of a block, p features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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


class Firing:
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

    def add(self, f_tp: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Append a block; returns which token and feature each activation that isn't 0 is of."""
        token, feature = (of.astype(np.int32) for of in np.nonzero(f_tp))
        self._blocks.append(_Block(len(f_tp), token, feature, f_tp[token, feature]))
        self.peak_p = np.maximum(self.peak_p, f_tp.max(0, initial=0.0))
        self.count_p += np.bincount(feature, minlength=len(self.count_p))
        return token, feature

    def only(self, positions: NDArray[np.int64]) -> Firing:
        """The same for some of the features, in that order."""
        made = Firing(len(positions))
        for number in range(self.blocks):
            made.add(self.block(number, positions))
        return made

    def block(self, number: int, columns: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """One block of some features, shape (t, columns)."""
        tokens, token, feature, value = self._blocks[number]
        column_p = np.full(len(self.peak_p), -1)
        column_p[columns] = np.arange(len(columns))
        column = column_p[feature]
        made = np.zeros((tokens, len(columns)), dtype=np.float32)
        made[token[column >= 0], column[column >= 0]] = value[column >= 0]
        return made

    def __getitem__(self, key: tuple[slice, Columns]) -> NDArray[np.float32]:
        every, columns = key
        assert every == slice(None), "whole columns are all that can be asked for"
        chosen = np.atleast_1d(np.asarray(columns, dtype=np.int64))
        made = np.concatenate([self.block(i, chosen) for i in range(self.blocks)])
        return made[:, 0] if isinstance(columns, (int, np.integer)) else made
