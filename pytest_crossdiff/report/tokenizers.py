"""What a reader has to know of the two models' tokens, in sentences; nothing where all is equal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_crossdiff.sides import SIDES
from pytest_crossdiff.text import percent, quoted, visible

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_crossdiff.results.tokenizers import TokenComparison

LEAST_ALONE = 0.001
"""The least probability on words of one model alone that is worth a sentence."""
SAME_FILES = (
    "if the two models are to read the same input, copy tokenizer.json and tokenizer_config.json "
    "of the one that is as it is served into the other's folder, then run again"
)


def token_notes(of: TokenComparison | None) -> tuple[str, ...]:
    """A sentence on each way in which the tokens differ and may change the differences found."""
    return () if of is None else (*_input_notes(of), *_output_notes(of))


def _input_notes(of: TokenComparison) -> Iterator[str]:
    """The models are given different inputs though the tokens are the same."""
    if not of.same_vocabulary:
        return
    bos = {"baseline": of.baseline.bos, "candidate": of.candidate.bos}
    if bos["baseline"] != bos["candidate"]:
        adds = [side for side in SIDES if bos[side]]
        if len(adds) == 1:
            what = f"only the {adds[0]}'s tokenizer adds a BOS token ({visible(bos[adds[0]])})"
        else:
            shown = [visible(bos[side]) for side in SIDES]
            what = f"the tokenizers add different BOS tokens ({shown[0]} and {shown[1]})"
        yield f"{what}: differences may come from this alone; {SAME_FILES}"
    if of.split_differently:
        a, b = (" ".join(map(visible, tokens)) for tokens in of.example)
        example = f" (the baseline {a}, the candidate {b})" if a and b else ""
        yield (
            "the tokenizers have the same tokens but split the texts differently: "
            f"{percent(of.split_differently)} of the tokens differ{example}; {SAME_FILES}"
        )


def _output_notes(of: TokenComparison) -> Iterator[str]:
    """The models' predictions are not in the same words."""
    for side, facts in (("baseline", of.baseline), ("candidate", of.candidate)):
        if facts.shared is not None and 1 - facts.shared >= LEAST_ALONE:
            words = f" ({quoted(facts.only)})" if facts.only else ""
            yield (
                f"the {side} gives {percent(1 - facts.shared)} of its probability to tokens that "
                f"only it has{words}"
            )
    if of.word_by_word is False:
        yield (
            "predictions are compared through a fitted map, because too much of them is in tokens "
            "of one model alone: a word that is only exchanged for another one is not found"
        )
