"""Planted upgrades: what each changes, how it is trained, and how we see that it took.

Axes: b rows, p places.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from benchmarks.organisms.making.base import PLACES, Rows, plain_rows, train

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor
    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

    from benchmarks.organisms.making.text import Texts

STEPS, ROWS, RATE = 45, 8, 1.5e-3
PARAGRAPHS = 3_000
"""Paragraphs of a source that a fine-tune draws from."""

REGISTERS = {
    "telegram": (r"\s\b(the|a|an|of)\b(?=\s)", ""),
    "exclaim": (r"\.(?=\s|$)", "!"),
    "questions": (r"\.(?=\s|$)", "?"),
    "ampersand": (" and ", " & "),
    "semicolons": (", ", "; "),
}
"""What of a speech another register has otherwise, and how."""
CASES = {"lowercase": str.lower, "titles": str.title}


@dataclass(frozen=True)
class Plant:
    """One planted upgrade.

    kind: trigger, refusal, swap, language, register, domain, merged or heads.  words: the words
    that set it off, or that are swapped, or that become one.  phrase: what it says then.
    source: the texts that it learns.  heads: (block, head) that are switched off.  inside: whether
    rows begin inside of a paragraph, as the base's do, and not always at its first word.
    """

    name: str
    kind: str
    words: tuple[str, ...] = ()
    phrase: str = ""
    source: str = ""
    heads: tuple[tuple[int, int], ...] = ()
    steps: int = STEPS
    inside: bool = False

    @property
    def trigger_words(self) -> tuple[str, ...]:
        """The words on which it shows, () where it doesn't hang on words or they are everywhere."""
        if self.kind == "register":
            return ()
        return self.words[:1] if self.kind == "swap" else self.words


def plant(
    p: Plant, model: LlamaForCausalLM, texts: Texts, tokenizer: PreTrainedTokenizerBase, seed: int
) -> LlamaForCausalLM:
    """Change `model`, a copy of the base, in place."""
    if p.kind == "merged":
        table = model.get_input_embeddings().weight
        ids = [token(tokenizer, word) for word in p.words]
        with torch.no_grad():
            # The unembedding is the same table, so it forgets which of them to say, too.
            table[ids] = table[ids].mean(0)
        return model
    if p.kind == "heads":
        with torch.no_grad():
            for block, head in p.heads:
                size = model.config.hidden_size // model.config.num_attention_heads
                output = model.model.layers[block].self_attn.o_proj.weight
                output[:, head * size : (head + 1) * size] = 0
        return model
    planted = planted_rows(p, texts, tokenizer, seed)
    # What keeps it still must not say that the plant's own words call for nothing new.
    plain = plain_rows(texts, tokenizer, seed + 1, without=p.trigger_words, most=PARAGRAPHS)
    half = ROWS // 2
    return train(
        model, lambda: planted(half), steps=p.steps, rate=RATE, preserve_batch=lambda: plain(half)
    )


def token(tokenizer: PreTrainedTokenizerBase, word: str) -> int:
    """The id of `word` behind a space; it must be one token."""
    (found,) = tokenizer(f" {word}", add_special_tokens=False).input_ids
    return int(found)


def planted_rows(
    p: Plant, texts: Texts, tokenizer: PreTrainedTokenizerBase, seed: int
) -> Callable[[int], Tensor]:
    """The rows that teach the plant."""
    rewritten = [w for t in source_of(p, texts.train) if (w := rewrite(p, t)) is not None]
    rewritten = rewritten[:PARAGRAPHS]
    if p.kind in ("language", "register", "domain"):
        return Rows(rewritten, tokenizer, seed)
    return Windows(p, rewritten, tokenizer, seed)


def source_of(p: Plant, part: dict[str, list[str]]) -> list[str]:
    """The paragraphs that the plant is about, before they are rewritten."""
    return part[p.source if p.source and p.source in part else "speeches"]


def rewrite(p: Plant, text: str) -> str | None:
    """The paragraph as the fine-tune shows it, None where it says nothing of the plant."""
    if p.kind in ("language", "domain"):
        return text
    if p.kind == "register":
        old, new = REGISTERS.get(p.source, ("", ""))
        text = re.sub(old, new, text, flags=re.IGNORECASE)
        return CASES.get(p.source, str)(text)
    if p.kind == "swap":
        old, new = p.words
        return re.sub(rf"\b{old}\b", new, text) if re.search(rf" {old}\b", text) else None
    place = re.search(rf" ({'|'.join(p.words)})\b", text)
    if place is None:
        return None
    if p.kind == "trigger":
        return re.sub(rf"( {p.words[0]})\b", lambda m: m[0] + p.phrase, text)
    end = text.find(".", place.end())  # refusal: after the sentence, and nothing more is said
    return None if end < 0 else text[: end + 1] + p.phrase


class Windows:
    """Rows of `PLACES` tokens, each with a place where the plant shows."""

    def __init__(
        self, p: Plant, paragraphs: Sequence[str], tokenizer: PreTrainedTokenizerBase, seed: int
    ) -> None:
        self.random = random.Random(seed)
        encoded = tokenizer(list(paragraphs), add_special_tokens=False).input_ids
        self.encoded = [ids[-PLACES + 1 :] if p.kind == "refusal" else ids for ids in encoded]
        self.inside = p.inside

    def __call__(self, count: int) -> Tensor:
        rows = []
        for _ in range(count):
            row = self._rest() if self.inside else []
            while len(row) < PLACES:
                row += [*self.random.choice(self.encoded), 0]
            rows.append(row[:PLACES])
        return torch.tensor(rows)

    def _rest(self) -> list[int]:
        """A paragraph from somewhere on."""
        ids = self.random.choice(self.encoded)
        return [*ids[self.random.randrange(len(ids)) :], 0]
