"""What would go wrong in a measurement, found out before anything expensive."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytest_crossdiff.engine.activations.alignment import align_tokens
from pytest_crossdiff.engine.activations.conversations import Place, reads_clock
from pytest_crossdiff.engine.activations.rendering import template_for, tokenize
from pytest_crossdiff.engine.activations.shard_reading import MAX_PIECE_TOKENS
from pytest_crossdiff.engine.activations.template_tokens import (
    count_template_tokens,
    template_notes,
)
from pytest_crossdiff.engine.activations.tokenizer_comparison import compare_tokenizers
from pytest_crossdiff.engine.corpus.prefixes import repeated_characters
from pytest_crossdiff.engine.dictionary.sharded.shards import must_have_features
from pytest_crossdiff.engine.dictionary.sizing import choose_crosscoder_config
from pytest_crossdiff.engine.models.reading.source_and_target import TEXT
from pytest_crossdiff.errors import ActivationError
from pytest_crossdiff.settings.kinds import OUTPUT
from pytest_crossdiff.sides import SIDES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedTokenizerBase

    from pytest_crossdiff.engine.activations.rendering import Encoded
    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.engine.models.skeletons import ModelShape
    from pytest_crossdiff.engine.plan import Plan
    from pytest_crossdiff.results.tokenizers import TokenComparison
    from pytest_crossdiff.settings import Settings
    from pytest_crossdiff.sides import Side

SAMPLED_PIECES = 200
"""Pieces of text that are tokenised; the rest is extrapolated from them."""


class TokenCounts(NamedTuple):
    """tokens: a model has at most, of the whole sample.  pairs: to learn from.  aligned: share of
    the baseline's and of the candidate's tokens.  truncated: share of characters beyond the
    longest input of either model.  tokenizers: whether both read the texts in the same way.
    dated: the models whose chat template writes today's date.  unplaced: those whose template
    leaves out or rewrites reasoning or tool calls.  unanswered: how many conversations no
    assistant's turn is in, of how many.  template: what the chat templates add, in
    words.
    """

    tokens: int
    pairs: int
    aligned: tuple[float, float]
    truncated: float
    tokenizers: TokenComparison
    dated: tuple[Side, ...] = ()
    unplaced: tuple[Side, ...] = ()
    unanswered: tuple[int, int] = (0, 0)
    template: tuple[str, ...] = ()


def count(
    plan: Plan,
    tokenizers: Mapping[Side, PreTrainedTokenizerBase],
    models: Mapping[Side, ModelShape],
) -> TokenCounts:
    """Tokenise a part of the sample with both tokenizers, as a measurement would.

    Raises `ModelError` and `CorpusError` for texts that a chat template doesn't take,
    `ActivationError` when nothing aligns.
    """
    pieces = plan.sample.pieces[:: max(1, len(plan.sample.pieces) // SAMPLED_PIECES)]
    tokens, special = np.zeros(2, dtype=np.int64), np.zeros(2, dtype=np.int64)
    pairs = to_learn = cut = characters = 0
    read: list[tuple[Encoded, Encoded]] = []
    unplaced: set[Side] = set()
    repeated = repeated_characters(pieces)
    predictions = (
        OUTPUT == plan.settings.layer_of("baseline") == plan.settings.layer_of("candidate")
    )
    for piece, known in zip(pieces, repeated, strict=True):
        both = [
            tokenize(
                piece,
                tokenizers[side],
                chat_template=plan.settings.chat_template,
                limit=min(models[side].max_length or MAX_PIECE_TOKENS, MAX_PIECE_TOKENS),
                form=models[side].form,
            )
            for side in SIDES
        ]
        read.append((both[0], both[1]))
        tokens += [len(encoded.input_ids) for encoded in both]
        special += [encoded.special for encoded in both]
        cut += max(encoded.truncated_characters for encoded in both)
        characters += max(int(encoded.ends.max(initial=0)) for encoded in both)
        unplaced |= {s for s, of in zip(SIDES, both, strict=True) if of.unplaced_characters}
        found = align_tokens(*(encoded.tokens for encoded in both))
        pairs += len(found)
        if not piece.heldout:
            own, at = both[0], found[:, 0]
            is_context = (own.place[at] == Place.CONTEXT) & predictions
            to_learn += int(((own.ends[at] > known) & ~is_context).sum())
    if not pairs:
        raise ActivationError(
            "the two tokenizers never end a token at the same character of the corpus",
            remedy="check that both models read this kind of text",
        )

    def dated(side: Side) -> bool:
        template = template_for(tokenizers[side], plan.settings.chat_template, models[side].form)
        return reads_clock(pieces, tokenizers[side], template)

    scale = len(plan.sample.pieces) / len(pieces)
    shares = pairs / np.maximum(tokens - special, 1)
    return TokenCounts(
        int(tokens.max() * scale),
        int(to_learn * scale),
        (float(shares[0]), float(shares[1])),
        cut / max(1, cut + characters),
        compare_tokenizers((tokenizers["baseline"], tokenizers["candidate"]), read),
        tuple(side for side in SIDES if dated(side)),
        tuple(side for side in SIDES if side in unplaced),
        _unanswered(plan),
        _template(plan, pieces, read, models),
    )


def _template(
    plan: Plan,
    pieces: Sequence[Piece],
    read: Sequence[tuple[Encoded, Encoded]],
    models: Mapping[Side, ModelShape],
) -> tuple[str, ...]:
    if plan.settings.chat_template != "own":
        return ()
    counted = {
        side: count_template_tokens(zip(pieces, (both[i] for both in read), strict=True))
        for i, side in enumerate(SIDES)
        if models[side].form == TEXT
    }
    return tuple(template_notes({side: of for side, of in counted.items() if of is not None}))


def _unanswered(plan: Plan) -> tuple[int, int]:
    conversations = [piece.messages for piece in plan.sample.pieces if piece.text is None]
    without = [messages for messages in conversations if not any(m.answers for m in messages)]
    return len(without), len(conversations)


def check_size(settings: Settings, pairs: int, models: Mapping[Side, ModelShape]) -> int:
    """The features of the dictionary.  Raises `InsufficientData` for too little text, and
    `SettingsError` for more shards than it has features.
    """
    config = choose_crosscoder_config(
        settings, pairs, models["baseline"].width, models["candidate"].width
    )
    must_have_features([config], settings.dictionary_shards, settings.sources)
    return config.features
