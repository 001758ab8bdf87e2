"""A model goes on from the first words of the held-out texts.

The texts' own words hardly show a model that writes a word which the texts lack: it finds the words
of the texts nearly as likely as before.  What it writes itself shows the new word.

Axes: b texts of a batch, p positions.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import torch

from pytest_crossdiff.engine.replies.write import alone_or, ends, generate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.progress import Progress

BEGINNING = 4
"""Words of a text from which a model goes on."""
TOKENS = 64
"""Of a continuation, at most."""
CONTINUATIONS = 1
"""Of each text."""
TOGETHER = 300
"""Continuations that are written in one batch."""
SEED = 0
WORD = re.compile(r"\w+|[^\w\s]")


class Written(NamedTuple):
    """What one model wrote.

    continuations: how many of them contain each word.  words: in all, repeated ones included.
    """

    continuations: Mapping[str, int]
    words: int


def write(model: LoadedModel, texts: Mapping[int, str], label: str, progress: Progress) -> Written:
    """What `model` writes after the first words of each text, drawn from its own distribution."""
    beginnings = [begun for text in texts.values() if (begun := _beginning(text))] * CONTINUATIONS
    found: Counter[str] = Counter()
    total, size = 0, alone_or(TOGETHER, model)
    with (
        progress.phase(f"{label} goes on with texts", len(beginnings), "text") as bar,
        torch.random.fork_rng(),
    ):
        torch.manual_seed(SEED)
        for start in range(0, len(beginnings), size):
            batch = beginnings[start : start + size]
            for text in _continued(model, batch):
                words = whole_words(text)
                total += len(words)
                found.update(set(words))
            bar.advance(len(batch))
    return Written(found, total)


def whole_words(continuation: str) -> list[str]:
    """The words and punctuation marks of a continuation, less the ends: its first letters may
    belong to the word before it, and its last word may be cut.
    """
    return WORD.findall(re.sub(r"^\w+|\w+$", "", continuation))


def _beginning(text: str) -> str:
    found = re.match(rf"\s*(?:\S+\s+){{{BEGINNING - 1}}}\S+(?=\s)", text)
    return found[0] if found else ""


def _continued(model: LoadedModel, beginnings: Sequence[str]) -> Iterator[str]:
    stop, tokenizer = ends(model), model.tokenizer
    asked = [tokenizer(begun, add_special_tokens=False)["input_ids"] for begun in beginnings]
    drawn = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    made = generate(model, asked, TOKENS, **drawn)
    for ids, new in zip(asked, made, strict=True):
        last = next((i for i, token in enumerate(new) if token in stop), len(new))
        # Decoded together, so that a space at the seam is kept.
        before = str(tokenizer.decode(ids, skip_special_tokens=True))
        yield str(tokenizer.decode(ids + new[:last], skip_special_tokens=True))[len(before) :]
