"""The held-out pieces of text as one model reads them, and where in its input the pairs stand.

Axes: n held-out pairs, k pairs of a piece, b pieces of a batch, p positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytest_crossdiff.engine.activations.rendering import shared_text, tokenize
from pytest_crossdiff.engine.models.reading.source_and_target import lengths

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.pairs import SideActivations
    from pytest_crossdiff.engine.activations.rendering import Encoded
    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.engine.models.loaded import LoadedModel

MAX_BATCH_TOKENS, MAX_READ_TOKENS = 512, 384
"""Tokens of a batch, and tokens of a piece that are read: logits of all are in memory at once."""
PROMPT = 16
"""Tokens of a text that a model is to go on with."""


class Batch(NamedTuple):
    """Pieces of text as one input, and the readable pairs of each: their positions in the input,
    and which they are of all pairs.
    """

    pieces: list[int]
    ids_bp: Tensor
    mask_bp: Tensor
    places: list[tuple[NDArray[np.int64], NDArray[np.int64]]]


class Passages:
    """The held-out pieces as the model reads them.

    readable_n: which of the held-out pairs stand in the part of their piece that is read.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        pieces: Sequence[Piece],
        owner: SideActivations,
        rows_n: NDArray[np.integer],
        chat_template: str,
    ) -> None:
        self._loaded, self._pieces, self._template = loaded, pieces, chat_template
        self._piece_n = owner.harvest.piece_n[rows_n]
        self._place_n = _place_in_piece(np.asarray(owner.harvest.piece_n))[rows_n]
        self.readable_n = self._place_n < MAX_READ_TOKENS
        self.order = np.random.default_rng(0).permutation(np.unique(self._piece_n))

    def encoded(self, piece: int) -> Encoded:
        """The model's input."""
        return tokenize(
            self._pieces[piece],
            self._loaded.tokenizer,
            chat_template=self._template,
            limit=min(self._loaded.max_length or MAX_BATCH_TOKENS, MAX_BATCH_TOKENS),
            form=self._loaded.form,
        )

    def batches(self, pieces: Iterable[int]) -> list[Batch]:
        """The pieces, shortest first, in batches of at most `LONGEST` tokens with padding."""
        encoded = sorted(
            ((piece, self.encoded(piece)) for piece in pieces), key=lambda e: len(e[1].input_ids)
        )
        parts: list[list[tuple[int, Encoded]]] = [[]]
        for piece, e in encoded:
            if parts[-1] and (
                len(e.input_ids) * (len(parts[-1]) + 1) > MAX_BATCH_TOKENS
                or not self._may_join(e, parts[-1][-1][1])
            ):
                parts.append([])
            parts[-1].append((piece, e))
        return [self._batch(part) for part in parts if part]

    def _may_join(self, one: Encoded, other: Encoded) -> bool:
        """Whether two texts can be in a batch without a change to either."""
        batching = self._loaded.batching
        same = lengths(ids_of(one)) == lengths(ids_of(other))
        return batching == "padded" or (batching == "same length" and same)

    def _batch(self, part: Sequence[tuple[int, Encoded]]) -> Batch:
        longest = len(part[-1][1].input_ids)
        ids_bp = torch.zeros(len(part), longest, dtype=torch.long)
        mask_bp = torch.zeros_like(ids_bp)
        for row, (_, encoded) in enumerate(part):
            ids = ids_of(encoded)[0]
            ids_bp[row, : len(ids)] = ids
            mask_bp[row, : len(ids)] = 1
        places = [self._places(piece, encoded) for piece, encoded in part]
        return Batch([piece for piece, _ in part], ids_bp, mask_bp, places)

    def _places(self, piece: int, encoded: Encoded) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        content = np.flatnonzero(encoded.content)
        of_piece = np.flatnonzero((self._piece_n == piece) & self.readable_n)
        pairs_k = of_piece[self._place_n[of_piece] < len(content)]
        return content[self._place_n[pairs_k]], pairs_k

    def prompt(self) -> tuple[Tensor, str]:
        """The first tokens of a piece, shape (1, p), and the text that they stand for."""
        for piece in self.order.tolist():
            encoded = self.encoded(piece)
            content = np.flatnonzero(encoded.content)
            if len(content) >= PROMPT:
                last = int(content[PROMPT - 1])
                text = shared_text(self._pieces[piece])[: int(encoded.ends[last])]
                return ids_of(encoded)[:, : last + 1], text
        return torch.zeros(1, 0, dtype=torch.long), ""


def _place_in_piece(piece_n: NDArray[np.int32]) -> NDArray[np.int64]:
    """For each row of a harvest, how many of its piece stand before it: they are in reading order,
    one for each content token.
    """
    order = np.argsort(piece_n, kind="stable")
    place_n = np.empty(len(order), dtype=np.int64)
    place_n[order] = np.arange(len(order)) - np.searchsorted(piece_n[order], piece_n[order])
    return place_n


def ids_of(encoded: Encoded) -> Tensor:
    """Its token ids as a batch of one, shape (1, p)."""
    return torch.as_tensor(np.asarray(encoded.input_ids, dtype=np.int64))[None]
