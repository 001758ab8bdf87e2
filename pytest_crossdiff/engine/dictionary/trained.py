"""Trained crosscoders as they are kept: weights, normalisation and how training went."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, save_file

from pytest_crossdiff.engine.activations.pairs import Scale
from pytest_crossdiff.engine.dictionary.crosscoder import Crosscoder, CrosscoderConfig
from pytest_crossdiff.errors import InsufficientData

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pytest_crossdiff.store.cache import Entry, Store

WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.safetensors"
SHARDS = "shards"
"""The folder of checkpoints of a dictionary that is trained in shards."""


@dataclass(frozen=True)
class TrainedCrosscoder:
    """A crosscoder with the normalisation of its inputs.

    meta: `steps`, `dead`, `loss` (at most 200 points).
    """

    model: Crosscoder
    scale_a: Scale
    scale_b: Scale
    meta: dict[str, Any]

    def encode(self, raw_ta: Tensor, raw_tb: Tensor) -> Tensor:
        """Feature activations, shape (t, m), of raw residual vectors of both models at the same
        places, shapes (t, a) and (t, b).
        """
        x_ta = (raw_ta.float() - self.scale_a.mean_d) * self.scale_a.factor
        x_tb = (raw_tb.float() - self.scale_b.mean_d) * self.scale_b.factor
        return self.model.encode(x_ta, x_tb)

    def save(self, entry: Entry) -> None:
        """Write the entry and complete it."""
        tensors = {k: v.detach().cpu().contiguous() for k, v in self.model.state_dict().items()}
        tensors |= {"mean_a": self.scale_a.mean_d, "mean_b": self.scale_b.mean_d}
        with entry.writing(WEIGHTS) as temporary:
            save_file(tensors, temporary)
        meta = {
            "config": dataclasses.asdict(self.model.config),
            "factors": [self.scale_a.factor, self.scale_b.factor],
            **self.meta,
        }
        entry.complete(meta, without=(CHECKPOINT,))

    @classmethod
    def load(cls, entry: Entry) -> TrainedCrosscoder:
        """Read what `save` wrote.  Raises `DamagedEntry`."""
        manifest = entry.read_manifest()
        assert manifest is not None, "a crosscoder is loaded when it is complete"
        tensors = load_file(entry.verified_path(WEIGHTS))
        factor_a, factor_b = manifest.meta["factors"]
        scale_a = Scale(tensors.pop("mean_a"), factor_a)
        scale_b = Scale(tensors.pop("mean_b"), factor_b)
        model = Crosscoder(CrosscoderConfig(**manifest.meta["config"]))
        model.load_state_dict(tensors)
        return cls(model.eval(), scale_a, scale_b, manifest.meta)


def entries_of(result_key: str, seeds: Sequence[int], store: Store) -> dict[int, Entry]:
    """The dictionaries of a stored result by seed.  Raises `InsufficientData`."""
    manifest = store.entry("result", result_key).read_manifest()
    keys = manifest.meta["crosscoders"] if manifest else []
    entries = [store.entry("crosscoder", key) for key in keys]
    if not entries or any(entry.read_manifest() is None for entry in entries):
        raise InsufficientData(
            "the dictionary of this result is no longer in the cache",
            source=f"cache {store.root}",
            remedy=f"make it again: `crossdiff cache prune {result_key[:12]}`, then "
            "`crossdiff train`",
        )
    return dict(zip(seeds, entries, strict=True))
