"""Whether two tokenizers that have the same tokens also read the texts in the same way.

A model and its copy can be given different inputs by their tokenizers' files alone: one adds a BOS
token, or splits words elsewhere.  Then everything differs though the weights are the same.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pytest_crossdiff.engine.activations.rendering import tokenize
from pytest_crossdiff.engine.models.reading.source_and_target import TEXT, InputForm
from pytest_crossdiff.results.tokenizers import TokenComparison, TokenFacts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from transformers import PreTrainedTokenizerBase

    from pytest_crossdiff.engine.activations.rendering import Encoded
    from pytest_crossdiff.engine.corpus.sampling import Piece

PIECES = 200
"""Pieces of text that are looked at."""
SAME = 0.99
"""Share of the smaller vocabulary's tokens that the other has, above which they are the same."""
EXAMPLE_TOKENS = 6


class _Token(NamedTuple):
    start: int
    end: int
    name: str


def compare_tokenizers(
    tokenizers: tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase],
    encoded: Iterable[tuple[Encoded, Encoded]],
) -> TokenComparison:
    """How the baseline's and the candidate's tokenizer read the same pieces of text.

    encoded: each piece as both read it.
    """
    pieces = list(encoded)
    bos = [
        _bos(tokenizer, [piece[side] for piece in pieces])
        for side, tokenizer in enumerate(tokenizers)
    ]
    vocabularies = [set(tokenizer.get_vocab()) for tokenizer in tokenizers]
    common = len(vocabularies[0] & vocabularies[1])
    same, total, example = 0, 0, None
    for piece in pieces:
        both = _to_the_same_end(
            *(_tokens(t, one) for t, one in zip(tokenizers, piece, strict=True))
        )
        same += (Counter(both[0]) & Counter(both[1])).total()
        total += max(map(len, both))
        example = example or _first_difference(*both)
    return TokenComparison(
        TokenFacts(bos[0]),
        TokenFacts(bos[1]),
        common >= SAME * min(map(len, vocabularies)),
        1 - same / max(1, total),
        example or ((), ()),
    )


def compare_on(
    pieces: Sequence[Piece],
    tokenizers: tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase],
    *,
    chat_template: str,
    limit: int,
    forms: tuple[InputForm, InputForm] = (TEXT, TEXT),
) -> TokenComparison:
    """`compare_tokenizers` on a sample of `pieces`, each read up to `limit` tokens in the form in
    which its model reads them.
    """

    def encoded(piece: Piece) -> tuple[Encoded, Encoded]:
        a, b = (
            tokenize(piece, tokenizer, chat_template=chat_template, limit=limit, form=form)
            for tokenizer, form in zip(tokenizers, forms, strict=True)
        )
        return a, b

    return compare_tokenizers(tokenizers, map(encoded, pieces[:: max(1, len(pieces) // PIECES)]))


def _bos(tokenizer: PreTrainedTokenizerBase, pieces: Sequence[Encoded]) -> str:
    """The token that marks the beginning of every piece, or ""."""
    any_tokenizer: Any = tokenizer
    marks = {any_tokenizer.bos_token_id, any_tokenizer.cls_token_id} - {None}
    first = {
        int(piece.input_ids[0]) if len(piece.content) and not piece.content[0] else -1
        for piece in pieces
    }
    if len(first) != 1 or not first <= marks:
        return ""
    return str(tokenizer.convert_ids_to_tokens(first.pop()))


def _tokens(tokenizer: PreTrainedTokenizerBase, piece: Encoded) -> list[_Token]:
    content = np.flatnonzero(piece.content)
    names = tokenizer.convert_ids_to_tokens(piece.input_ids[content].tolist())
    starts, ends = piece.starts[content].tolist(), piece.ends[content].tolist()
    return [_Token(*of) for of in zip(starts, ends, names, strict=True)]


def _to_the_same_end(*both: list[_Token]) -> tuple[list[_Token], list[_Token]]:
    """What both have read: a model with a shorter longest input stops earlier."""
    end = min(tokens[-1].end if tokens else 0 for tokens in both)
    a, b = ([token for token in tokens if token.end <= end] for tokens in both)
    return a, b


def _first_difference(
    a: Sequence[_Token], b: Sequence[_Token]
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """The tokens from the first that differs to the next end that both have."""
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    if at is None:
        return None
    ends = {token.end for token in a[at:]} & {token.end for token in b[at:]}
    until = min(ends, default=0)
    of_a, of_b = (
        tuple(token.name for token in tokens[at:] if token.end <= until)[:EXAMPLE_TOKENS]
        for tokens in (a, b)
    )
    return of_a, of_b
