"""A model goes on from the first words of the held-out texts, and answers held-out conversations.

The texts' own words hardly show a model that writes a word which the texts lack: it finds the words
of the texts nearly as likely as before.  What it writes itself shows the new word.

Axes: b texts of a batch, p positions.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch
import transformers

from pytest_crossdiff.engine.corpus.messages import SEPARATOR
from pytest_crossdiff.engine.corpus.prompts import Prompt, before_the_last_answer
from pytest_crossdiff.engine.replies.write import (
    alone_or,
    ends,
    generate,
    prompt_ids,
    writes_text,
)
from pytest_crossdiff.store.manifest import DamagedEntry

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from pytest_crossdiff.engine.corpus.sampling import Piece
    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.progress import Phase, Progress
    from pytest_crossdiff.store.cache import Entry

WRITTEN = "written.json"

BEGINNING = 4
"""Words of a text from which a model goes on."""
TOKENS = 64
"""Of a continuation, at most."""
TOGETHER = 300
"""Continuations that are written in one batch."""
SEED = 0
WORD = re.compile(r"\w+|[^\w\s]")


Beginning: TypeAlias = "str | Prompt"
"""What a model goes on from: the first words of a text, or a prompt that it answers."""


class Written(NamedTuple):
    """What one model wrote.

    continuations: how many of them contain each word.  words: in all, repeated ones included.
    made: how many continuations there are; 0 where that was not kept.
    """

    continuations: Mapping[str, int]
    words: int
    made: int = 0

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
            return cls(counts, int(found["words"]), int(found["made"]))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DamagedEntry(f"{path} is no record of what a model writes") from error


def save_written(written: Written | None, entry: Entry) -> None:
    """Keep it in an entry that is locked and open."""
    kept = None if written is None else written._asdict()
    entry.write(WRITTEN, json.dumps(kept, ensure_ascii=False).encode())


def beginnings(pieces: Iterable[Piece]) -> list[Beginning]:
    """The first words of each text that goes on after them; of a conversation what comes before its
    last answer, as conversations with one system message begin with the same words.
    """
    found: list[Beginning] = []
    for piece in pieces:
        if piece.text is None:
            asked = before_the_last_answer(piece.messages)
            found += [Prompt("", "", asked, piece.tools)] if asked else []
        elif words := _first_words(piece.text):
            found.append(words)
    return found


def write(
    model: LoadedModel,
    begun: Sequence[Beginning],
    *,
    chat_template: str,
    label: str,
    progress: Progress,
) -> Written | None:
    """What `model` writes after each beginning, drawn from its own distribution; None where it has
    no head that writes.

    chat_template: as in `tokenize`.  Raises `ModelError` where it is "own" and the model has none.
    """
    if not writes_text(model):
        return None
    found: Counter[str] = Counter()
    total, size = 0, alone_or(TOGETHER, model)
    asked = [_ids(one, model, chat_template) for one in begun]
    with (
        progress.phase(f"{label} goes on with texts", len(begun) * TOKENS, "token") as bar,
        torch.random.fork_rng(),
    ):
        torch.manual_seed(SEED)
        for start in range(0, len(begun), size):
            batch, steps = asked[start : start + size], _Steps(bar)
            made = _continued(model, batch, steps)
            for one, text in zip(begun[start : start + size], made, strict=True):
                words = whole_words(text, begun=isinstance(one, str))
                total += len(words)
                found.update(set(words))
            bar.advance(len(batch) * (TOKENS - steps.taken))  # where all have ended before
    return Written(found, total, len(begun))


def whole_words(continuation: str, *, begun: bool = True) -> list[str]:
    """The words and punctuation marks of a continuation, less its last word, which may be cut.

    begun: whether it goes on with a text; its first letters may then belong to the word before.
    """
    cut = re.sub(r"\w+$", "", continuation)
    return WORD.findall(re.sub(r"^\w+", "", cut) if begun else cut)


def _first_words(text: str) -> str:
    found = re.match(rf"\s*(?:\S+\s+){{{BEGINNING - 1}}}\S+(?=\s)", text)
    return found[0] if found else ""


def _ids(begun: Beginning, model: LoadedModel, chat_template: str) -> list[int]:
    """The tokens of a beginning; of a long one the last that leave room for what is written."""
    ids: list[int]
    if isinstance(begun, Prompt) and chat_template != "plain":
        ids = prompt_ids(begun, model.tokenizer)
    else:
        said = (
            [begun] if isinstance(begun, str) else [f"{m.text}{SEPARATOR}" for m in begun.messages]
        )
        ids = model.tokenizer("".join(said), add_special_tokens=False)["input_ids"]
    return ids if model.max_length is None else ids[-max(1, model.max_length - TOKENS) :]


class _Steps(transformers.LogitsProcessor):
    """Shows each step of a batch, and changes nothing."""

    def __init__(self, bar: Phase) -> None:
        self.bar, self.taken = bar, 0

    def __call__(self, ids_bp: Tensor, scores_bv: Tensor) -> Tensor:
        self.bar.advance(len(ids_bp))
        self.taken += 1
        return scores_bv


def _continued(model: LoadedModel, asked: Sequence[list[int]], steps: _Steps) -> Iterator[str]:
    stop, tokenizer = ends(model), model.tokenizer
    drawn = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    made = generate(model, asked, TOKENS, steps, **drawn)
    for ids, new in zip(asked, made, strict=True):
        last = next((i for i, token in enumerate(new) if token in stop), len(new))
        # Decoded together, so that a space at the seam is kept.
        before = str(tokenizer.decode(ids, skip_special_tokens=True))
        yield str(tokenizer.decode(ids + new[:last], skip_special_tokens=True))[len(before) :]
