"""How far the two models read and write the same tokens."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TokenFacts:
    """One model's tokens, beside the other's.

    bos: the token that its tokenizer puts before each text, "" where it puts none.  shared: the
    probability that it gives to words that the other model has too, on average over the texts, None
    where no predictions were compared.  only: the likeliest of the words that it alone has.
    """

    bos: str
    shared: float | None = None
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class TokenComparison:
    """Both models' tokens.

    same_vocabulary: the tokenizers have nearly the same tokens.  split_differently: the share of
    the tokens of the texts that are not the same ones at the same places.  example: such a place,
    as the baseline and as the candidate split it.  word_by_word: predictions were compared word by
    word, and not by a map that was fitted; None where no predictions were compared.
    """

    baseline: TokenFacts
    candidate: TokenFacts
    same_vocabulary: bool
    split_differently: float
    example: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    word_by_word: bool | None = None
