"""Both models' vectors at the same places of the same text, normalised.

Axes: n aligned pairs, t pairs of a batch, a baseline width, b candidate width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch

from pytest_crossdiff.engine.activations.alignment import align_tokens, coverage
from pytest_crossdiff.engine.activations.compared import compared
from pytest_crossdiff.engine.activations.harvest import row_kind
from pytest_crossdiff.engine.activations.out_of_distribution import out_of_distribution
from pytest_crossdiff.engine.activations.vocabularies import ComparedVocabularies, named_by_position
from pytest_crossdiff.errors import ActivationError, InsufficientData

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.compared import ConversationPairs
    from pytest_crossdiff.engine.activations.harvest import Harvest
    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.sides import Side

OUTLIER = 10.0
"""A vector longer than this many median norms is left out (attention sinks reach 100)."""

PAIRS_PER_BLOCK = 8_192
"""Pairs that are read at once in a pass over all."""
MAX_NETWORK_PAIRS = 32_768
"""Training pairs whose feature activations are kept in memory, for networks to learn from."""


class Scale(NamedTuple):
    """What normalises one model: x ↦ (x - mean_d) · factor."""

    mean_d: Tensor
    factor: float


class SideActivations(NamedTuple):
    """One model's share of the pairs."""

    harvest: Harvest
    rows_n: NDArray[np.integer]
    scale: Scale
    outliers: int
    median_norm: float
    aligned_tokens: int
    aligned_characters: int
    characters: int

    def vectors(self, chosen: NDArray[np.int64]) -> Tensor:
        """Normalised vectors of the `chosen` pairs, fp32."""
        x_td = self.harvest.vectors(self.rows_n[chosen])
        return x_td.sub_(self.scale.mean_d).mul_(self.scale.factor)


class Planted(Protocol):
    """Signals that a control adds to the vectors of both models."""

    def add_signals(self, side: Side, x_td: Tensor, pairs_t: NDArray[np.int64]) -> Tensor:
        """The normalised vectors of the pairs with the signals of `side` added, shape (t, d)."""


class Pairs(NamedTuple):
    """All usable pairs: both sides, and for each pair its group of documents and its split; what is
    planted into them; either model at further layers, which only probes read; how many texts were
    left out as out of distribution for both models; whether the models descend from
    one another (`models.lineage`); where predictions are
    compared, the words of both; and how many pairs conversations have.
    """

    a: SideActivations
    b: SideActivations
    group_n: NDArray[np.int32]
    heldout_n: NDArray[np.bool_]
    planted_signals: Planted | None = None
    extra_layers: tuple[tuple[SideActivations, ...], tuple[SideActivations, ...]] = ((), ())
    out_of_distribution: int = 0
    related: bool = False
    vocabularies: ComparedVocabularies | None = None
    conversations: ConversationPairs | None = None

    @property
    def same_vocabulary(self) -> bool:
        """Whether both sides are predictions, which are compared word by word."""
        return self.vocabularies is not None and self.vocabularies.same

    def batch(self, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Normalised vectors of the `chosen` pairs, fp32, shapes (t, a) and (t, b)."""
        x_a, x_b = self.a.vectors(chosen), self.b.vectors(chosen)
        if self.planted_signals is not None:
            x_a = self.planted_signals.add_signals("baseline", x_a, chosen)
            x_b = self.planted_signals.add_signals("candidate", x_b, chosen)
        return x_a, x_b

    def _on(self, device: torch.device | str, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        x_ta, x_tb = self.batch(chosen)
        return x_ta.to(device), x_tb.to(device)

    def probe_vectors(
        self, chosen: NDArray[np.int64], x_ta: Tensor, x_tb: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What probes read on `chosen` pairs: their vectors, and those of the further layers."""
        wide = [
            torch.cat([x, *(side.vectors(chosen).to(x.device) for side in sides)], 1)
            if sides
            else x
            for x, sides in zip((x_ta, x_tb), self.extra_layers, strict=True)
        ]
        return wide[0], wide[1]

    def probe_widths(self) -> tuple[int, int]:
        """How many numbers `probed` gives for a pair."""
        a, b = (
            sum(side.harvest.width for side in (own, *sides))
            for own, sides in zip((self.a, self.b), self.extra_layers, strict=True)
        )
        return a, b

    def training(self) -> NDArray[np.int64]:
        return np.flatnonzero(~self.heldout_n)

    def heldout(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.heldout_n)

    def thinned(self) -> tuple[NDArray[np.int64], int]:
        """The training pairs, or where there are more than `MAX_NETWORK_PAIRS` every so manieth of
        them;
        and how many stand for one.
        """
        rows = self.training()
        step = max(1, -(-len(rows) // MAX_NETWORK_PAIRS))
        return rows[::step], step

    def blocks(
        self, chosen: NDArray[np.int64], device: torch.device | str = "cpu"
    ) -> Iterator[tuple[NDArray[np.int64], Tensor, Tensor]]:
        """One pass over `chosen`: the pairs of each block with their vectors."""
        for start in range(0, len(chosen), PAIRS_PER_BLOCK):
            block = chosen[start : start + PAIRS_PER_BLOCK]
            # Nothing of a block is held here while the next is read.
            yield (block, *self._on(device, block))


def pair(a: Harvest, b: Harvest, pieces: Sequence[Piece], groups: Sequence[int]) -> Pairs:
    """Align two harvests of the same `pieces`; `groups[i]` is the document group of piece i.

    Raises `ActivationError` when nothing aligns, `InsufficientData` when most texts are
    out of distribution for both models.  Source: METHOD 1.
    """
    all_a, all_b, piece_n, aligned = _aligned(a, b)
    norms_a, norms_b = (_norms(h, np.arange(len(h), dtype=row_kind(len(h)))) for h in (a, b))
    median_a, median_b = (
        float(np.median(norms[h.said_n])) for h, norms in ((a, norms_a), (b, norms_b))
    )
    usable = norms_a[all_a] <= OUTLIER * median_a
    usable &= norms_b[all_b] <= OUTLIER * median_b
    left_out = out_of_distribution_for_both(a, b)
    usable &= ~np.isin(piece_n, left_out)
    kept, conversations = compared(
        pieces, piece_n, a.place_n[all_a], a.ends_n[all_a], predictions=bool(a.words and b.words)
    )
    usable &= kept
    heldout_n = np.array([piece.heldout for piece in pieces])[piece_n[usable]]
    group_n = np.asarray(groups, dtype=np.int32)[piece_n[usable]]
    if heldout_n.all() or not heldout_n.any():
        raise ActivationError(
            "no aligned tokens are left on one side of the split into training and held-out texts",
            remedy="raise crossdiff_tokens, and give a larger corpus where all of it was read",
        )
    target = _target(a, b)
    a, b, vocabularies = _in_words_of_both(a, b)

    def side(
        h: Harvest, rows: NDArray[np.integer], norms: NDArray[np.float32], median: float, chars: int
    ) -> SideActivations:
        return SideActivations(
            harvest=h,
            rows_n=rows[usable],
            scale=_scale(h, rows[usable][~heldout_n], target),
            outliers=int((norms > OUTLIER * median).sum()),
            median_norm=float(median),
            aligned_tokens=len(rows),
            aligned_characters=chars,
            characters=sum(len(piece.shared_text) for piece in pieces),
        )

    return Pairs(
        side(a, all_a, norms_a, median_a, aligned[0]),
        side(b, all_b, norms_b, median_b, aligned[1]),
        group_n,
        heldout_n,
        out_of_distribution=len(left_out),
        vocabularies=vocabularies,
        conversations=conversations,
    )


def _aligned(
    a: Harvest, b: Harvest
) -> tuple[NDArray[np.integer], NDArray[np.integer], NDArray[np.integer], tuple[int, int]]:
    """The rows of both models' tokens that are paired, the piece of each pair, and the characters
    that the pairs speak for in either.  Raises `ActivationError` when nothing aligns.
    """
    of_a, of_b = a.rows_by_piece(), b.rows_by_piece()
    both, *at = np.intersect1d(of_a.pieces, of_b.pieces, assume_unique=True, return_indices=True)
    most = min(len(a), len(b))
    rows_a, rows_b = (np.empty(most, dtype=of.order_n.dtype) for of in (of_a, of_b))
    counts = np.zeros(len(both), dtype=row_kind(most))
    done = characters_a = characters_b = 0
    for i, numbers in enumerate(zip(*(of.tolist() for of in at), strict=True)):
        in_a, in_b = of_a.of(numbers[0]), of_b.of(numbers[1])
        ta, tb = a.tokens(in_a), b.tokens(in_b)
        found = align_tokens(ta, tb)
        cover = coverage(found, ta, tb)
        characters_a += cover.aligned_characters_a
        characters_b += cover.aligned_characters_b
        counts[i] = len(found)
        end = done + len(found)
        rows_a[done:end], rows_b[done:end] = in_a[found[:, 0]], in_b[found[:, 1]]
        done = end
    if not done:
        raise ActivationError(
            "the two tokenizers never end a token at the same character of the corpus",
            remedy="check that both models read this kind of text",
        )
    piece_n = np.repeat(both.astype(np.int32), counts)
    return rows_a[:done], rows_b[:done], piece_n, (characters_a, characters_b)


def _in_words_of_both(
    a: Harvest, b: Harvest
) -> tuple[Harvest, Harvest, ComparedVocabularies | None]:
    """The harvests with names for tags that have none, and their words where both predict."""
    if not a.words or not b.words:
        return a, b, None
    of_a, of_b = a.vocabulary, b.vocabulary
    names_a, names_b = named_by_position(of_a, of_b)
    if names_a != of_a.words:
        a, of_a = a.renamed(names_a), of_a._replace(words=names_a)
    if names_b != of_b.words:
        b, of_b = b.renamed(names_b), of_b._replace(words=names_b)
    return a, b, ComparedVocabularies.of(of_a, of_b)


def out_of_distribution_for_both(a: Harvest, b: Harvest) -> NDArray[np.int64]:
    """The pieces that are out of distribution for both models, where predictions are compared."""
    of_a, of_b = (
        set(out_of_distribution(*map(np.asarray, (h.piece_n, h.ids_n, h.nll_n))).tolist())
        for h in (a, b)
    )
    found = np.array(sorted(of_a & of_b), dtype=np.int64)
    pieces = len(np.union1d(*(np.asarray(h.piece_n) for h in (a, b))))
    if len(found) and 2 * len(found) > pieces:
        raise InsufficientData(
            f"{len(found)} of {pieces} texts are out of distribution for both models: token "
            "frequencies predict them better, so a change of the predictions means nothing there",
            source="crossdiff_layer = output, crossdiff_corpus",
            remedy="give texts of the kind that the models are used on, or compare a block: "
            "crossdiff_layer = 0.5",
        )
    return found


def with_extra_layers(pairs: Pairs, a: Sequence[Harvest], b: Sequence[Harvest]) -> Pairs:
    """`pairs` with harvests of the same texts at other layers of the models, for probes to read."""
    training, target = pairs.training(), _target(pairs.a.harvest, pairs.b.harvest)

    def side(own: SideActivations, h: Harvest) -> SideActivations:
        return own._replace(harvest=h, scale=_scale(h, own.rows_n[training], target))

    extra_layers = tuple(side(pairs.a, h) for h in a), tuple(side(pairs.b, h) for h in b)
    return pairs._replace(extra_layers=extra_layers)


def _target(a: Harvest, b: Harvest) -> float:
    """The median norm that both models are brought to (METHOD 1)."""
    return float(np.sqrt((a.width + b.width) / 2))


def _norms(
    h: Harvest, rows: NDArray[np.integer], mean_d: Tensor | None = None
) -> NDArray[np.float32]:
    """Euclidean norm of the vectors of `rows`, raw or less `mean_d`, shape (len(rows),)."""
    # Made at once: small arrays kept between the large ones of the blocks leave holes in memory.
    norms = np.empty(len(rows), dtype=np.float32)
    for i in range(0, len(rows), PAIRS_PER_BLOCK):
        x_td = h.vectors(rows[i : i + PAIRS_PER_BLOCK])
        x_td = x_td if mean_d is None else x_td.sub_(mean_d)
        norms[i : i + PAIRS_PER_BLOCK] = x_td.norm(dim=1).numpy()
    return norms


def _scale(h: Harvest, rows: NDArray[np.integer], target: float) -> Scale:
    """Mean and factor such that the median norm of the centred vectors is `target` (fp64 sums)."""
    mean = torch.zeros(h.width, dtype=torch.float64)
    for i in range(0, len(rows), PAIRS_PER_BLOCK):
        mean += h.vectors(rows[i : i + PAIRS_PER_BLOCK]).sum(0, dtype=torch.float64)
    mean_d = (mean / len(rows)).float()
    median = float(torch.from_numpy(_norms(h, rows, mean_d)).median())
    if median == 0.0:
        raise ActivationError(
            "all activations of a model are the same vector",
            remedy="check the weights, or choose another crossdiff_layer",
        )
    return Scale(mean_d, target / median)
