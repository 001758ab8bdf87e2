"""The interface of what reads a block, and transformers behind it.

Axes: p positions of a text, d model width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch

from pytest_crossdiff.engine.models.loaded import vectors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pytest_crossdiff.engine.models.loaded import LoadedModel


class Reader(Protocol):
    """Reads the residual stream after one block.

    chunk: tokens of which it runs at most as many at once, so that a longer text is read in parts;
    0 where it reads every text whole.
    """

    @property
    def name(self) -> str: ...

    @property
    def chunk(self) -> int: ...

    def read(self, texts: Sequence[Tensor]) -> list[Tensor]:
        """For each text, token ids of shape (p,), its vectors, shape (p, d), on the CPU."""

    def close(self) -> None:
        """Free the memory of the model."""


class TransformersReader:
    """A model in memory, read as a run reads it: texts of a batch are padded."""

    name, chunk = "transformers", 0

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded

    def read(self, texts: Sequence[Tensor]) -> list[Tensor]:
        longest = max(map(len, texts))
        ids_bp = torch.zeros(len(texts), longest, dtype=torch.long)
        mask_bp = torch.zeros_like(ids_bp)
        for row, ids in enumerate(texts):
            ids_bp[row, : len(ids)], mask_bp[row, : len(ids)] = ids, 1
        found_bpd = vectors(self._loaded, ids_bp, mask_bp).cpu()
        return [found_bpd[row, : len(ids)] for row, ids in enumerate(texts)]

    def close(self) -> None:
        self._loaded.unload()
