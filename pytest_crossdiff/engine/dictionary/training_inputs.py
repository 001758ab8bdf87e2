"""What dictionaries read while they are trained, batch by batch.

Every pair is read many times, and what the maps leave of it doesn't change.  So where the training
pairs are few it is made once and kept; elsewhere batch by batch, from the files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from pytest_crossdiff.engine.activations.pairs import PAIRS_PER_BLOCK
from pytest_crossdiff.engine.dictionary.crosscoder import Inputs
from pytest_crossdiff.engine.models.devices import to_device

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.pairs import Pairs
    from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder

MAX_CACHED_BYTES = 1 << 28
"""At most so much is kept, which is 40,000 pairs of two models of width 384."""


class TrainingInputs:
    """The inputs of `model`, and of all that have its maps, on the training pairs.

    kept: all of them where they are kept, else nothing.
    """

    def __init__(self, model: Crosscoder, pairs: Pairs, device: torch.device) -> None:
        self._model, self._pairs, self._device = model, pairs, device
        self._rows = pairs.training()
        one = [x for x in self._made(self._rows[:1]) if x is not None]
        self.kept: list[Tensor] = []
        if 4 * len(self._rows) * sum(x.shape[1] for x in one) <= MAX_CACHED_BYTES:
            self.kept = [x.new_empty(len(self._rows), x.shape[1]) for x in one]
            for start, (_, *both) in enumerate(pairs.blocks(self._rows, device)):
                for kept, x in zip(self.kept, model.inputs(*both), strict=False):
                    assert x is not None, "without innovations they are not there for any pair"
                    kept[start * PAIRS_PER_BLOCK : start * PAIRS_PER_BLOCK + len(x)] = x

    def __call__(self, chosen: NDArray[np.int64]) -> Inputs:
        """The inputs on the `chosen` training pairs."""
        if not self.kept:
            return self._made(chosen)
        places = torch.from_numpy(np.searchsorted(self._rows, chosen))
        at = to_device(places, self._device)
        return Inputs(*(x[at] for x in self.kept))

    def _made(self, chosen: NDArray[np.int64]) -> Inputs:
        return self._model.inputs(*(to_device(x, self._device) for x in self._pairs.batch(chosen)))
