"""The numerical self-check of a reader: what it reads of the run's own texts against transformers,
texts in a batch against the same texts alone, and a text in chunks against what is read whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from pytest_crossdiff.engine.models.reading.probing import distance
from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pytest_crossdiff.engine.models.readers.reader import Reader

MOST_TOKENS = 4_096
"""Of the text that is longer than a chunk."""


class ReaderCheck(NamedTuple):
    """The largest relative distances ‖read - expected‖ / ‖expected‖ over tokens.

    alone: of texts that are read one by one, from transformers.  batched: of the same texts in one
    batch, from transformers, too.  chunked: of a text that is longer than a chunk; 0 where there is
    none.  allowed: what rounding can explain in the model's number type.
    """

    alone: float
    batched: float
    chunked: float
    allowed: float

    def words(self) -> str:
        """The figures in a line."""
        return (
            f"{self.alone:.2g} for texts alone, {self.batched:.2g} in a batch, "
            f"{self.chunked:.2g} for a text in chunks (allowed: {self.allowed:.2g})"
        )


def texts_to_check(texts: Sequence[Tensor], chunk: int, limit: int) -> list[Tensor]:
    """The texts, and where a reader has chunks one of more than two of them at the end, if the
    model takes it.  texts: token ids, shape (p,).  limit: the model's longest input.
    """
    long = min(2 * chunk + 3, limit, MOST_TOKENS)
    if chunk < 1 or long <= chunk:
        return list(texts)
    joined = torch.cat(list(texts))
    return [*texts, joined.repeat(-(-long // len(joined)))[:long]]


def check_reader(
    reader: Reader,
    texts: Sequence[Tensor],
    expected: Sequence[Tensor],
    allowed: float,
    reference: str,
) -> ReaderCheck:
    """Check what `reader` reads of `texts` (see `texts_to_check`) against `expected`, which is what
    transformers reads of each alone.  Raises `ModelError` with the figures.
    """
    alone = [reader.read([ids])[0] for ids in texts]
    together = reader.read(list(texts))
    longer = [0 < reader.chunk < len(ids) for ids in texts]

    def worst(found: Sequence[Tensor], *, chunked: bool) -> float:
        distances = [
            distance(one[None], right[None])
            for one, right, of in zip(found, expected, longer, strict=True)
            if of is chunked
        ]
        return max(distances, default=0.0)

    long = max(worst(found, chunked=True) for found in (alone, together))
    batched = worst(together, chunked=False)
    result = ReaderCheck(worst(alone, chunked=False), batched, long, allowed)
    if not max(result[:3]) <= allowed:
        raise ModelError(
            f"{reader.name} does not read {reference} as transformers does: vectors differ by "
            f"{result.words()}",
            source="crossdiff_reader",
            remedy="set crossdiff_reader = transformers, or try another version of "
            f"{reader.name} and its settings",
        )
    return result
