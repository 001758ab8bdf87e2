"""A model goes on from the first words of the held-out texts.

The texts' own words hardly show a model that writes a word which the texts lack: it finds the words
of the texts nearly as likely as before.  What it writes itself shows the new word.

Axes: b texts of a batch, p positions.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import torch
import transformers

from pytest_crossdiff.engine.replies.write import alone_or, ends, generate, writes_text
from pytest_crossdiff.store.manifest import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.progress import Phase, Progress
    from pytest_crossdiff.store.cache import Entry

WRITTEN = "written.json"

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

    @classmethod
    def load(cls, entry: Entry) -> Written | None:
        """What `save` kept; None of a model that writes no text.  Raises `DamagedEntry`."""
        return cls.from_file(entry.verified_path(WRITTEN))

    @classmethod
    def from_file(cls, path: Path) -> Written | None:
        """The same from a file.  Raises `DamagedEntry` for one that is no such record."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if found is None:
                return None
            counts = {str(word): int(count) for word, count in found["continuations"].items()}
            return cls(counts, int(found["words"]))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DamagedEntry(f"{path} is no record of what a model writes") from error


def save_written(written: Written | None, entry: Entry) -> None:
    """Keep it in an entry that is locked and open."""
    kept = None if written is None else written._asdict()
    entry.write(WRITTEN, json.dumps(kept, ensure_ascii=False).encode())


def beginnings(texts: Mapping[int, str]) -> list[str]:
    """The first words of each text that goes on after them."""
    return [begun for text in texts.values() if (begun := _beginning(text))]


def write(
    model: LoadedModel, texts: Mapping[int, str], label: str, progress: Progress
) -> Written | None:
    """What `model` writes after the first words of each text, drawn from its own distribution; None
    where it has no head that writes.
    """
    if not writes_text(model):
        return None
    begun = beginnings(texts) * CONTINUATIONS
    found: Counter[str] = Counter()
    total, size = 0, alone_or(TOGETHER, model)
    with (
        progress.phase(f"{label} goes on with texts", len(begun) * TOKENS, "token") as bar,
        torch.random.fork_rng(),
    ):
        torch.manual_seed(SEED)
        for start in range(0, len(begun), size):
            batch = begun[start : start + size]
            steps = _Steps(bar)
            for text in _continued(model, batch, steps):
                words = whole_words(text)
                total += len(words)
                found.update(set(words))
            bar.advance(len(batch) * (TOKENS - steps.taken))  # where all have ended before
    return Written(found, total)


def whole_words(continuation: str) -> list[str]:
    """The words and punctuation marks of a continuation, less the ends: its first letters may
    belong to the word before it, and its last word may be cut.
    """
    return WORD.findall(re.sub(r"^\w+|\w+$", "", continuation))


def _beginning(text: str) -> str:
    found = re.match(rf"\s*(?:\S+\s+){{{BEGINNING - 1}}}\S+(?=\s)", text)
    return found[0] if found else ""


class _Steps(transformers.LogitsProcessor):
    """Shows each step of a batch, and changes nothing."""

    def __init__(self, bar: Phase) -> None:
        self.bar, self.taken = bar, 0

    def __call__(self, ids_bp: Tensor, scores_bv: Tensor) -> Tensor:
        self.bar.advance(len(ids_bp))
        self.taken += 1
        return scores_bv


def _continued(model: LoadedModel, begun: Sequence[str], steps: _Steps) -> Iterator[str]:
    stop, tokenizer = ends(model), model.tokenizer
    asked = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in begun]
    drawn = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    made = generate(model, asked, TOKENS, steps, **drawn)
    for ids, new in zip(asked, made, strict=True):
        last = next((i for i, token in enumerate(new) if token in stop), len(new))
        # Decoded together, so that a space at the seam is kept.
        before = str(tokenizer.decode(ids, skip_special_tokens=True))
        yield str(tokenizer.decode(ids + new[:last], skip_special_tokens=True))[len(before) :]
