"""Activations of all models of a half at the same places: the ends of words at which every
tokenizer ends a token.

Axes: n places, d model width, m models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from benchmarks.population.bases import bases
from benchmarks.population.fine_tunes import fine_tunes
from benchmarks.population.reading import held_out, reading
from benchmarks.toy.world import InMemory
from pytest_crossdiff.engine.activations.pairs import Pairs, Scale, SideActivations
from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.explanation.intervention import record
from pytest_crossdiff.engine.models.loaded import load
from pytest_crossdiff.engine.population.judging.spans import common_spans

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from benchmarks.population.bases import Base, Half
    from benchmarks.population.family import Family
    from benchmarks.population.fine_tunes import FineTune
    from pytest_crossdiff.engine.models.loaded import LoadedModel

HELD_OF_TEN = 3
"""Of ten texts so many are held out: probes and dictionaries never see them."""
LIMIT = 512


class Places(NamedTuple):
    """The places of a half: text, slice and last character of each, the span that ends there and
    the one behind it, and whether it is held out.

    logp_mn, tokens_mn: of the span behind each place, for every model by `row`; NaN where the text
    ends.
    """

    piece_n: NDArray[np.int64]
    end_n: NDArray[np.int64]
    slice_n: NDArray[np.str_]
    span_n: NDArray[np.str_]
    next_n: NDArray[np.str_]
    held_n: NDArray[np.bool_]
    row: dict[str, int]
    logp_mn: NDArray[np.float64]
    tokens_mn: NDArray[np.float64]


class World:
    """The models of a half, where they are read, and their activations there."""

    def __init__(self, family: Family, half: Half) -> None:
        self.family, self.half = family, half
        self.bases = bases(half)
        self.tuned = [t for t in fine_tunes(half) if family.made(t)]
        self.texts = held_out(family, half)
        self.places = self._places()
        self._kept: dict[tuple[str, int], Tensor] = {}

    def model(self, name: str) -> Base | FineTune:
        """A model of the half by its name."""
        return next(m for m in (*self.bases, *self.tuned) if m.name == name)

    def loaded(self, name: str, block: int) -> LoadedModel:
        """A model, read behind its block of that number."""
        return load(str(self.family.root / name), layer=block, device="cpu", with_head=True)

    def vectors(self, name: str, block: int) -> Tensor:
        """Its residual stream behind a block at every place, shape (n, d); read at most once."""
        if (name, block) not in self._kept:
            path = self.family.root / "inside" / f"{name}.npy"
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                np.save(path, self._read(name).astype(np.float16))
            blocks_bnd = np.load(path)
            for number, vectors_nd in enumerate(blocks_bnd):
                self._kept[name, number] = torch.from_numpy(vectors_nd.astype(np.float32))
        return self._kept[name, block]

    def pair(self, a: str, b: str, block: int) -> Pairs:
        """Both models at the same places, normalised as the product does."""
        return pairs_of(
            self.vectors(a, block), self.vectors(b, block), self.places.piece_n, self.places.held_n
        )

    def _places(self) -> Places:
        names = [m.name for m in (*self.bases, *self.tuned)]
        readings = [reading(self.family, self.family.root / name, self.texts) for name in names]
        spans, texts = common_spans(readings, self.texts.texts), self.texts.texts
        shown = [
            texts[p][a:b].strip()
            for p, a, b in zip(spans.piece_s.tolist(), spans.start_s, spans.end_s, strict=True)
        ]
        follows = np.append(
            (spans.piece_s[1:] == spans.piece_s[:-1]) & (spans.start_s[1:] == spans.end_s[:-1]),
            [False],
        )
        behind = np.append(np.arange(1, spans.size), [0])
        word_s = np.array(shown)
        return Places(
            piece_n=spans.piece_s,
            end_n=spans.end_s,
            slice_n=np.array([self.texts.slices[p] for p in spans.piece_s.tolist()]),
            span_n=word_s,
            next_n=np.where(follows, word_s[behind], ""),
            held_n=spans.piece_s % 10 < HELD_OF_TEN,
            row={name: at for at, name in enumerate(names)},
            logp_mn=np.where(follows, spans.logp_ms[:, behind], np.nan),
            tokens_mn=np.where(follows, spans.tokens_ms[:, behind], np.nan),
        )

    def _read(self, name: str) -> NDArray[np.float32]:
        loaded = self.loaded(name, 0)
        parts = []
        for piece in np.unique(self.places.piece_n).tolist():
            ids_bp, at = self.positions(loaded, piece)
            recorded = record(loaded, ids_bp)
            streams = [loaded.layout.read(o, ids_bp.shape[1])[0, at] for o in recorded.outputs]
            parts.append(torch.stack(streams).float())
        return np.asarray(torch.cat(parts, 1).numpy())

    def positions(self, loaded: LoadedModel, piece: int) -> tuple[Tensor, NDArray[np.int64]]:
        """The model's input for a piece, shape (1, p), and the position of each of its places."""
        encoded = tokenize(
            self.texts.pieces[piece], loaded.tokenizer, chat_template="own", limit=LIMIT
        )
        ends = np.asarray(encoded.ends)
        wanted = self.places.end_n[self.places.piece_n == piece]
        at = np.searchsorted(ends, wanted, side="right") - 1  # the last token that ends there
        if not (ends[at] == wanted).all():
            raise ValueError(f"text {piece}: a place is no end of a token of {loaded}")
        ids = torch.as_tensor(np.asarray(encoded.input_ids, dtype=np.int64))[None]
        return ids, at


def pairs_of(
    x_a: Tensor, x_b: Tensor, group_n: NDArray[np.int64], held_n: NDArray[np.bool_]
) -> Pairs:
    """Normalised pairs of two matrices."""
    target = ((x_a.shape[1] + x_b.shape[1]) / 2) ** 0.5

    def side(x: Tensor) -> SideActivations:
        mean = x[~held_n].mean(0)
        factor = target / float((x[~held_n] - mean).norm(dim=1).median())
        rows = np.arange(len(x))
        return SideActivations(InMemory(x), rows, Scale(mean, factor), 0, 1.0, len(x), 0, 0)  # type: ignore[arg-type]

    return Pairs(side(x_a), side(x_b), group_n.astype(np.int32), held_n)
