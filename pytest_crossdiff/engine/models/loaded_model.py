"""A model in memory, its tokenizer, and the place where it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

from pytest_crossdiff.engine.models.devices import release
from pytest_crossdiff.engine.models.placement import take_back
from pytest_crossdiff.engine.models.reading.blocks import blocks_at
from pytest_crossdiff.engine.models.reading.source_and_target import TEXT, InputForm
from pytest_crossdiff.engine.models.reading.streams import PLAIN, StreamLayout
from pytest_crossdiff.settings.kinds import OUTPUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pytest_crossdiff.engine.models.loading.partial import Part
    from pytest_crossdiff.engine.models.reading import probing
    from pytest_crossdiff.engine.models.reading.predictions import Predictions
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.settings.default_layers import Head


@dataclass(repr=False)
class LoadedModel:
    """A model on its device, its tokenizer, and where it is read.

    blocks_name: dotted name of the list of blocks.  layers: how many there are.  layer: 0-based
    index of the one whose output is read; `layers` where that is what the model predicts.  width:
    of what is read.  architecture: name of the model's class.  max_length: longest input, special
    tokens included, that its positions allow; None: no limit.  head: what predicts, see
    `loading.Head`.
    predictions: how predictions become vectors, where they are read.  passes, layout, reader: see
    `hook_point.HookPoint`; without them each block runs once, in the whole model, and returns the
    residual stream.  batching: which texts may share a batch; `read` keeps to it.  form: what of a
    document it reads.  borrowed: the weights are a fixture's, which `unload` leaves in memory.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    reference: ModelReference
    blocks_name: str
    layers: int
    layer: int
    width: int
    architecture: str
    dtype: torch.dtype
    device: torch.device
    max_length: int | None
    head: Head
    predictions: Predictions | None = None
    passes: Sequence[nn.Module] | None = None
    layout: StreamLayout = PLAIN
    reader: nn.Module | None = None
    batching: probing.Batching = "padded"
    form: InputForm = TEXT
    part: Part | None = None
    borrowed: bool = False

    def __repr__(self) -> str:
        block = f"block {self.layer} of {self.layers}"
        where = OUTPUT if self.layer == self.layers else block
        name = f"{self.architecture} {self.reference.reference}"
        return f"<{type(self).__name__} {name}, {where}, {self.dtype} on {self.device}>"

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The blocks, a shared one as often as it runs."""
        return self.passes or blocks_at(self.model, self.blocks_name)

    @property
    def runner(self) -> PreTrainedModel:
        """What is run to read it."""
        return cast("PreTrainedModel", self.reader or self.model)

    def unload(self) -> None:
        """Free the memory of the weights, whoever else holds on to the model, unless borrowed."""
        if self.borrowed:
            return
        take_back(self.model)
        nn.Module.to(self.model, "meta")
        release(self.device)
