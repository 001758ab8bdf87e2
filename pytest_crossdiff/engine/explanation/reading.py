"""A text read by both models and a trained dictionary: which tokens set off which difference.

Axes: t aligned pairs of the text, p features of a difference.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytest_crossdiff.engine.activations.alignment import align_tokens
from pytest_crossdiff.engine.activations.harvest import MAX_PIECE_TOKENS
from pytest_crossdiff.engine.activations.pairs import OUTLIER
from pytest_crossdiff.engine.activations.passages import ids_of
from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.activations.vocabularies import Vocabulary, named_by_position
from pytest_crossdiff.engine.corpus.cutting import split_text
from pytest_crossdiff.engine.corpus.sampling import BYTES_PER_TOKEN, Piece
from pytest_crossdiff.engine.models.loaded import load_configured, vectors
from pytest_crossdiff.engine.models.reading.predictions import renaming
from pytest_crossdiff.engine.verification.ablation import Ablation
from pytest_crossdiff.errors import CorpusError
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from pytest_crossdiff.engine.activations.rendering import Encoded
    from pytest_crossdiff.engine.dictionary.trained import TrainedCrosscoder
    from pytest_crossdiff.engine.models.sources.references import ModelReference
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.results.difference import Difference
    from pytest_crossdiff.results.result import Result
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side


class FiringSpan(NamedTuple):
    """Characters [start, end) of the text that a token of the owner stands for, and how strongly
    the difference fires there, in units of the owner's median activation norm.
    """

    start: int
    end: int
    activation: float


class Reading(NamedTuple):
    """pairs: how many tokens of the text both models could be held side by side at."""

    pairs: int
    fired: dict[str, tuple[FiringSpan, ...]]


class _ReadPieces(NamedTuple):
    """One model's words, where it predicts, and each piece's tokens with their vectors."""

    vocabulary: Vocabulary
    pieces: Sequence[tuple[Encoded, Tensor]]


class _Tokens(NamedTuple):
    """One model's side of the aligned pairs: raw vectors, and the characters of each token."""

    x_td: Tensor
    starts_t: NDArray[np.int64]
    ends_t: NDArray[np.int64]


def read(
    text: str,
    result: Result,
    settings: Settings,
    references: Mapping[Side, ModelReference],
    dictionary: Callable[[int], TrainedCrosscoder],
    differences: Sequence[Difference],
    progress: Progress,
) -> Reading:
    """Run `text` through both models, one resident at a time, and say where `differences` fire.

    dictionary: gives that of a seed.  Raises `CorpusError` when no token of the text can be
    compared, and `ModelError`.
    """
    limit = settings.context * BYTES_PER_TOKEN
    pieces = [Piece(0, start, part, (), heldout=False) for start, part in split_text(text, limit)]
    both = {side: _run(side, pieces, settings, references[side], progress) for side in SIDES}
    sides = _aligned(pieces, _in_named_tags(both), result)
    pairs = len(sides["baseline"].starts_t)
    if not pairs:
        raise CorpusError(
            "the two tokenizers never end a token at the same character of this text",
            remedy="give a longer text, of the kind that the models were compared on",
        )
    made = {seed: dictionary(seed) for seed in {_seed(d) for d in differences}}
    fired = {}
    for difference in differences:
        activation_t = _activations(difference, made[_seed(difference)], sides)
        own = sides[difference.side]
        fired[difference.id] = tuple(
            FiringSpan(int(own.starts_t[t]), int(own.ends_t[t]), float(activation_t[t]))
            for t in np.flatnonzero(activation_t > 0).tolist()
        )
    return Reading(pairs, fired)


def _seed(difference: Difference) -> int:
    """The dictionary with most of the difference's features, the first of equals."""
    seeds = [int(name.partition(".")[0]) for name in difference.features]
    return max(dict.fromkeys(seeds), key=seeds.count)


def _run(
    side: Side,
    pieces: Sequence[Piece],
    settings: Settings,
    reference: ModelReference,
    progress: Progress,
) -> _ReadPieces:
    """Each piece's tokens with their vectors."""
    progress.note(f"loading the {side}: {reference.reference}")
    model = load_configured(settings, side, reference)
    longest = min(model.max_length or MAX_PIECE_TOKENS, MAX_PIECE_TOKENS)
    found: list[tuple[Encoded, Tensor]] = []
    words = () if model.predictions is None else tuple(model.predictions.words)
    vocabulary = Vocabulary(words, np.zeros(len(words)), tags=model.head == "tags")
    try:
        with progress.phase(f"read {side}", len(pieces), "piece") as bar:
            for piece in pieces:
                encoded = tokenize(
                    piece,
                    model.tokenizer,
                    chat_template="plain",
                    limit=longest,
                    form=model.form,
                )
                ids = ids_of(encoded)
                found.append((encoded, vectors(model, ids, torch.ones_like(ids))[0].float().cpu()))
                bar.advance()
    finally:
        model.unload()
    return _ReadPieces(vocabulary, found)


def _in_named_tags(
    both: Mapping[Side, _ReadPieces],
) -> dict[Side, Sequence[tuple[Encoded, Tensor]]]:
    """The pieces with vectors in the words in which the models were compared (see `pairs`)."""
    names = named_by_position(*(both[side].vocabulary for side in SIDES))
    found: dict[Side, Sequence[tuple[Encoded, Tensor]]] = {}
    for side, of_side in zip(SIDES, names, strict=True):
        words, pieces = both[side].vocabulary.words, both[side].pieces
        if words != of_side:
            renaming_dd = renaming(words, of_side)
            pieces = [(encoded, x_td @ renaming_dd) for encoded, x_td in pieces]
        found[side] = pieces
    return found


def _aligned(
    pieces: Sequence[Piece],
    both: Mapping[Side, Sequence[tuple[Encoded, Tensor]]],
    result: Result,
) -> dict[Side, _Tokens]:
    """Both models' vectors at the same places, without those that a measurement leaves out."""
    kept: dict[Side, list[_Tokens]] = {side: [] for side in SIDES}
    for piece, *of_piece in zip(pieces, *(both[side] for side in SIDES), strict=True):
        in_both = align_tokens(*(encoded.tokens for encoded, _ in of_piece))
        usable = np.ones(len(in_both), dtype=bool)
        for column, side in enumerate(SIDES):
            norms = of_piece[column][1][in_both[:, column]].norm(dim=1).numpy()
            usable &= norms <= OUTLIER * result.model(side).median_norm
        for column, side in enumerate(SIDES):
            encoded, x_td = of_piece[column]
            at = in_both[usable, column]
            places = (encoded.starts, encoded.ends)
            starts, ends = (a[at].astype(np.int64) + piece.start for a in places)
            kept[side].append(_Tokens(x_td[at], starts, ends))
    return {
        side: _Tokens(
            torch.cat([part.x_td for part in parts]),
            np.concatenate([part.starts_t for part in parts]),
            np.concatenate([part.ends_t for part in parts]),
        )
        for side, parts in kept.items()
    }


@torch.no_grad()
def _activations(
    difference: Difference, trained: TrainedCrosscoder, sides: Mapping[Side, _Tokens]
) -> NDArray[np.float32]:
    """How strongly the difference's features fire together at each pair, shape (t,)."""
    seed = str(_seed(difference))
    names = (name.partition(".") for name in difference.features)
    chosen = torch.tensor([int(index) for of, _, index in names if of == seed])
    f_tp = trained.encode(sides["baseline"].x_td, sides["candidate"].x_td)[:, chosen]
    owner_is_candidate_p = torch.full((len(chosen),), difference.side == "candidate")
    norm_p = torch.from_numpy(
        Ablation(trained.model, chosen, owner_is_candidate_p).direction_norms()
    ).float()
    config = trained.model.config
    unit = math.sqrt((config.width_a + config.width_b) / 2)  # the median norm after scaling
    return np.asarray((f_tp * norm_p).sum(1) / unit, dtype=np.float32)
