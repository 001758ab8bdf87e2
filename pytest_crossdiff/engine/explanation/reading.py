"""A text read by both models and a trained dictionary: which tokens set off which difference.

Axes: t aligned pairs of the text, p features of a difference.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from pytest_crossdiff.engine.activations.alignment import align_tokens
from pytest_crossdiff.engine.activations.conversations import Place
from pytest_crossdiff.engine.activations.pairs import OUTLIER
from pytest_crossdiff.engine.activations.passages import ids_of
from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.activations.shard_reading import MAX_PIECE_TOKENS
from pytest_crossdiff.engine.activations.vocabularies import Vocabulary, named_by_position
from pytest_crossdiff.engine.corpus.cutting import split_text
from pytest_crossdiff.engine.corpus.sampling import BYTES_PER_TOKEN, Piece
from pytest_crossdiff.engine.models.loaded import load_configured, vectors
from pytest_crossdiff.engine.models.reading.predictions import renaming
from pytest_crossdiff.engine.verification.ablation import Ablation
from pytest_crossdiff.errors import CorpusError
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

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


class PairedTokens(NamedTuple):
    """One model's side of the aligned pairs: the piece and the characters of each token, and its
    raw vector.
    """

    piece_t: NDArray[np.int64]
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
    sides = paired_tokens(pieces, result, settings, references, progress)
    pairs = len(sides["baseline"].starts_t)
    if not pairs:
        raise CorpusError(
            "the two tokenizers never end a token at the same character of this text",
            remedy="give a longer text, of the kind that the models were compared on",
        )
    fired = {}
    for difference, activation_t in activations(differences, dictionary, sides):
        own = sides[difference.side]
        fired[difference.id] = tuple(
            FiringSpan(int(own.starts_t[t]), int(own.ends_t[t]), float(activation_t[t]))
            for t in np.flatnonzero(activation_t > 0).tolist()
        )
    return Reading(pairs, fired)


def paired_tokens(
    pieces: Sequence[Piece],
    result: Result,
    settings: Settings,
    references: Mapping[Side, ModelReference],
    progress: Progress,
    chat_template: str = "plain",
) -> dict[Side, PairedTokens]:
    """Run the pieces through both models, one resident at a time, and pair their tokens as a
    measurement does.  chat_template: of conversations, as the setting.  Raises `ModelError`.
    """
    both = {
        side: _run(side, pieces, settings, references[side], progress, chat_template)
        for side in SIDES
    }
    return _aligned(pieces, _in_named_tags(both), result)


def activations(
    differences: Sequence[Difference],
    dictionary: Callable[[int], TrainedCrosscoder],
    sides: Mapping[Side, PairedTokens],
) -> Iterator[tuple[Difference, NDArray[np.float32]]]:
    """Each difference with its activation at each pair, in units of the owner's median norm."""
    made = {seed: dictionary(seed) for seed in {_seed(d) for d in differences}}
    for difference in differences:
        yield difference, _activations(difference, made[_seed(difference)], sides)


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
    chat_template: str,
) -> _ReadPieces:
    """Each piece's tokens with their vectors."""
    progress.detail(f"loading the {side}: {reference.reference}")
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
                    chat_template=chat_template,
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
) -> dict[Side, PairedTokens]:
    """Both models' vectors at the same places, without those that a measurement leaves out."""
    kept: dict[Side, list[PairedTokens]] = {side: [] for side in SIDES}
    predictions = result.baseline.predictions and result.candidate.predictions
    paired = zip(pieces, *(both[side] for side in SIDES), strict=True)
    for number, (piece, *of_piece) in enumerate(paired):
        in_both = align_tokens(*(encoded.tokens for encoded, _ in of_piece))
        usable = np.ones(len(in_both), dtype=bool)
        if predictions:  # what is predicted in a user's turn is never said
            usable &= of_piece[0][0].place[in_both[:, 0]] != Place.CONTEXT
        for column, side in enumerate(SIDES):
            norms = of_piece[column][1][in_both[:, column]].norm(dim=1).numpy()
            usable &= norms <= OUTLIER * result.model(side).median_norm
        for column, side in enumerate(SIDES):
            encoded, x_td = of_piece[column]
            at = in_both[usable, column]
            places = (encoded.starts, encoded.ends)
            starts, ends = (a[at].astype(np.int64) + piece.start for a in places)
            of_pairs = np.full(len(at), number)
            kept[side].append(PairedTokens(of_pairs, x_td[at], starts, ends))
    return {
        side: PairedTokens(
            np.concatenate([part.piece_t for part in parts]),
            torch.cat([part.x_td for part in parts]),
            np.concatenate([part.starts_t for part in parts]),
            np.concatenate([part.ends_t for part in parts]),
        )
        for side, parts in kept.items()
    }


@torch.no_grad()
def _activations(
    difference: Difference, trained: TrainedCrosscoder, sides: Mapping[Side, PairedTokens]
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
