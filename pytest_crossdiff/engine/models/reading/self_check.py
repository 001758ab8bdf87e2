"""A numerical check that a loaded model is read as it runs: on a few texts, the value that is read
against one from another run, and a text alone against the same text in batches.

Axes: b texts of a batch, p positions, d model width.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, get_args

import torch

from pytest_crossdiff.engine.models.loaded import read_batch
from pytest_crossdiff.engine.models.loading.load import silence_transformers
from pytest_crossdiff.engine.models.reading.blocks import supported_inputs
from pytest_crossdiff.engine.models.reading.predictions import logits_in
from pytest_crossdiff.engine.models.reading.probing import (
    ROUNDING,
    BatchDistances,
    Batching,
    batch_distances,
    distance,
    independent_values,
)
from pytest_crossdiff.engine.models.reading.source_and_target import lengths, shortened
from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from pytest_crossdiff.engine.models.loaded import LoadedModel

TEXTS, TOKENS = 3, 64
"""Texts that are checked, and tokens of each."""


class SelfCheck(NamedTuple):
    """Relative distances: the largest ‖read - expected‖ / ‖expected‖ over tokens.

    independent: between what is read and what another run of the model gives; NaN where the model
    gives nothing to compare with.  compared: what that is.  repeated, same_length, padded: see
    `probing.BatchDistances`.  allowed: what rounding can explain in the model's number type.
    """

    independent: float
    compared: str
    repeated: float
    same_length: float
    padded: float
    allowed: float

    @property
    def batching(self) -> Batching:
        """Which texts may share a batch."""
        return BatchDistances(self.repeated, self.same_length, self.padded).batching(self.allowed)

    def value_words(self) -> str:
        """How far the value that is read is from an independent one."""
        if math.isnan(self.independent):
            return "nothing to compare the value with"
        if not self.independent:
            return f"equals {self.compared} exactly"
        return f"equals {self.compared} to {self.independent:.1g}"

    def words(self) -> str:
        """The figures in a line."""
        said = [self.value_words(), f"a padded batch changes a text by {self.padded:.1g}"]
        if self.batching != "padded":
            said.append(f"so it is read {_WAYS[self.batching]}")
        return "; ".join(said)


_WAYS = {"same length": "in batches of one length", "one text": "one text at a time"}


def check(loaded: LoadedModel, texts: Sequence[Tensor]) -> SelfCheck:
    """Check how `loaded` is read on `texts` (token ids, each of shape (1, p)).

    Raises `ModelError` with the figures where what is read is not what the model computes, or
    differs from one reading to the next.
    """
    texts = sorted(
        (shortened(ids, TOKENS).to(loaded.device) for ids in texts), key=lambda t: t.shape[1]
    )
    shorter, longer = texts[0], texts[-1]
    if shorter.shape[1] == longer.shape[1]:
        shorter = shortened(shorter, max(1, max(lengths(shorter)) // 2))
    expect = _expected_predictions if loaded.predictions is not None else _expected_stream

    def vectors(ids_bp: Tensor, mask_bp: Tensor) -> Tensor:
        return read_batch(loaded, ids_bp, mask_bp).vectors_bpd

    with silence_transformers(), torch.inference_mode():
        read = [vectors(ids, torch.ones_like(ids)) for ids in texts]
        found = [
            (read_1pd[:, : lengths(ids)[0]], expect(loaded, ids))
            for ids, read_1pd in zip(texts, read, strict=True)
        ]
        alone = read[0] if shorter is texts[0] else None
        batches = batch_distances(vectors, longer, shorter, alone)
    compared = [(_nearest(value, candidates)) for value, candidates in found]
    independent, name = max(compared, key=lambda pair: (not math.isnan(pair[0]), pair[0]))
    result = SelfCheck(independent, name, *batches, ROUNDING[loaded.dtype])
    _refuse(loaded, result)
    return result


def stricter(one: Batching, other: Batching) -> Batching:
    """Of two ways to make batches the one that lets fewer texts share a batch."""
    order = get_args(Batching)
    chosen: Batching = max(one, other, key=order.index)
    return chosen


def _nearest(value_bpd: Tensor, candidates: Sequence[tuple[str, Tensor]]) -> tuple[float, str]:
    distances = [(distance(value_bpd, expected), name) for name, expected in candidates]
    return min(distances, key=lambda pair: pair[0], default=(math.nan, ""))


def _expected_stream(loaded: LoadedModel, ids_1p: Tensor) -> list[tuple[str, Tensor]]:
    """Values that the residual stream after the loaded layer has in runs that go on."""
    reader, places = loaded.runner, lengths(ids_1p)[0]
    own = independent_values(reader, loaded.blocks, loaded.layer, ids_1p)
    reported = own.reported[-1:]
    if loaded.layer + 1 < loaded.layers:
        # Some families leave out the embeddings, and so count from the first block.
        first = loaded.layer + (1 if len(own.reported) > loaded.layers + 1 else 0)
        reported = own.reported[first : loaded.layer + 2]
    last = loaded.layer + 1 == loaded.layers
    next_one = "the next module's input" if last else "the next block's input"
    candidates = [(next_one, value) for value in own.after]
    candidates += [("the model's hidden states", value) for value in reported]
    return [
        (name, placed)
        for name, value in candidates
        if (placed := _placed(loaded, value, places)) is not None
    ]


def _placed(loaded: LoadedModel, value: Tensor, places: int) -> Tensor | None:
    """A value as (1, p, d), if it can be one: as the block gives it, or as hidden states are."""
    if value.dim() == 3 and value.shape == (1, places, loaded.width):
        return value
    axes = (loaded.layout.batch, loaded.layout.position)
    if value.dim() < 3 or value.shape[axes[0]] != 1 or value.shape[axes[1]] < places:
        return None
    placed = loaded.layout.read(value, places)
    return placed if placed.shape[-1] == loaded.width else None


def _expected_predictions(loaded: LoadedModel, ids_1p: Tensor) -> list[tuple[str, Tensor]]:
    """What the model's own probabilities give, from a run without a mask."""
    assert loaded.predictions is not None
    out = loaded.runner(**supported_inputs(loaded.runner, {"input_ids": ids_1p}))
    logits_1pv = logits_in(out, loaded.architecture, ids_1p.shape)
    p_1pv = logits_1pv.double().softmax(-1)
    p_1pw = loaded.predictions.by_word(p_1pv[0])[None]
    signs_wd = loaded.predictions.signs_wd[: p_1pw.shape[-1]].double()
    made_1pd = (p_1pw.sqrt() @ signs_wd).float()[:, : lengths(ids_1p)[0]]
    return [("the model's own probabilities", made_1pd)]


def _refuse(loaded: LoadedModel, result: SelfCheck) -> None:
    said: Callable[[str], ModelError] = lambda what: ModelError(  # noqa: E731
        f"{loaded.reference.reference} is not read as it runs: {what} (allowed: "
        f"{result.allowed:.1g}; {TEXTS} texts of the corpus)",
        source=loaded.reference.source,
        remedy="compare another layer, or name the list of blocks: crossdiff_baseline_blocks or "
        "crossdiff_candidate_blocks",
    )
    if result.independent > result.allowed:
        raise said(
            f"the value that is read and {result.compared} differ by {result.independent:.2g} of a "
            "vector's length"
        )
    if result.repeated > result.allowed:
        raise said(
            f"two readings of the same text differ by {result.repeated:.2g} of a vector's length"
        )
