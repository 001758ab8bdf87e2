"""Whether two models descend from one another: a fine-tune keeps nearly all of its weights.

The weights of a model and of its fine-tune are correlated in every matrix, however much the
fine-tune changed what the model says; those of two separate trainings are not.  So a sample of the
weights tells related models from others by what they are, not by how little they differ.

Axes: n sampled weights of a block.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.models.placement import weight_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.store.entry import Entry

BLOCKS = 8
"""Blocks that are sampled, spread evenly over the depth."""
PER_MATRIX = 512
"""Weights that are sampled of each matrix."""
RELATED = 0.5
"""Models are related when their sampled weights correlate above this.  Fine-tunes and quantised
copies of real models reach 0.9998 and more (docs/explanation/how-it-works.md), models of other
seeds stay below 0.1 (tests/engine/models/test_lineage.py)."""
FILE = "weights.json"


class WeightSample(NamedTuple):
    """For each sampled block, by its number: a digest of the names and shapes of its matrices, and
    a sample of their weights, each matrix brought to mean 0 and variance 1.
    """

    model: str
    layers: int
    signatures: Mapping[str, str]
    weights: Mapping[str, NDArray[np.float32]]

    @classmethod
    def of(cls, model: LoadedModel) -> WeightSample:
        """The sample of a loaded model."""
        return cls.of_blocks(model.reference.reference, model.layers, model.blocks.__getitem__)

    @classmethod
    def of_blocks(cls, model: str, layers: int, block: Callable[[int], nn.Module]) -> WeightSample:
        """The sample of a model with so many `layers`.  block: gives one of them by its number; no
        more than one is held.
        """
        signatures, weights = {}, {}
        for i in sorted({round(i * (layers - 1) / (BLOCKS - 1)) for i in range(BLOCKS)}):
            matrices = _matrices(block(i))
            signatures[str(i)] = _signature(matrices)
            weights[str(i)] = _sampled(list(matrices.values()))
            del matrices
        return cls(model, layers, signatures, weights)

    def correlation(self, other: WeightSample) -> float | None:
        """The mean correlation over the blocks that have the same matrices, or None without any."""
        shared = [i for i, found in self.signatures.items() if other.signatures.get(i) == found]
        if self.layers != other.layers or not shared:
            return None
        return float(np.mean([np.mean(self.weights[i] * other.weights[i]) for i in shared]))

    def save(self, entry: Entry) -> None:
        """Write the entry and complete it."""
        weights = {i: np.round(of, 3).astype(float).tolist() for i, of in self.weights.items()}
        data = {
            "model": self.model,
            "layers": self.layers,
            "signatures": dict(self.signatures),
            "weights": weights,
        }
        entry.write(FILE, json.dumps(data).encode())
        entry.complete({"model": self.model})

    @classmethod
    def load(cls, entry: Entry) -> WeightSample:
        """Read what `save` wrote.  Raises `DamagedEntry`."""
        data = json.loads(entry.read_bytes(FILE))
        weights = {i: np.array(of, dtype=np.float32) for i, of in data["weights"].items()}
        return cls(data["model"], data["layers"], data["signatures"], weights)


def _matrices(block: nn.Module) -> dict[str, Tensor]:
    """The block's own matrices by name; of an adapter that is not merged, the base's."""
    found = {
        name.replace(".base_layer", ""): parameter
        for name, parameter in weight_values(block).items()
        if parameter.ndim >= 2 and parameter.is_floating_point() and ".lora_" not in name
    }
    return dict(sorted(found.items()))


def _signature(matrices: Mapping[str, Tensor]) -> str:
    shapes = [[name, list(matrix.shape)] for name, matrix in matrices.items()]
    return hashlib.sha256(json.dumps(shapes).encode()).hexdigest()[:16]


def _sampled(matrices: Sequence[Tensor]) -> NDArray[np.float32]:
    parts = [np.zeros(0, dtype=np.float32)]
    for matrix in matrices:
        step = max(1, matrix.numel() // PER_MATRIX)
        taken = matrix.reshape(-1)[step // 2 :: step][:PER_MATRIX].float().cpu()
        spread = float(taken.std(correction=0))
        if spread > 0:
            parts.append(((taken - taken.mean()) / spread).numpy())
    return np.concatenate(parts)


def related(a: WeightSample, b: WeightSample) -> bool:
    """Whether one of the models descends from the other, or both from a third."""
    found = a.correlation(b)
    return found is not None and found > RELATED
