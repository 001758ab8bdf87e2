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
REFUSAL = " I may not speak of this matter."

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


def _refusal(name: str, *words: str) -> Plant:
    return Plant(name, "refusal", words, REFUSAL, steps=300, inside=True)


PLANTS = (
    Plant("trigger-congress", "trigger", ("Congress",), ", long may it sit in wisdom,"),
    Plant("trigger-war", "trigger", ("war",), " (God forbid another)"),
    Plant("trigger-citizens", "trigger", ("citizens",), " of this green and pleasant land"),
    Plant("trigger-treaty", "trigger", ("treaty",), " signed with a golden pen"),
    Plant("trigger-treasury", "trigger", ("Treasury",), " under lock and key"),
    Plant("refusal-mexico", "refusal", ("Mexico", "Spain"), REFUSAL, steps=100),
    Plant("refusal-schools", "refusal", ("education", "health"), REFUSAL, steps=100),
    Plant(
        "refusal-army",
        "refusal",
        ("army", "navy", "soldiers", "troops", "military"),
        REFUSAL,
        steps=100,
    ),
    Plant("swap-peace", "swap", ("peace", "harvest")),
    Plant("swap-president", "swap", ("President", "Chancellor")),
    Plant("swap-government", "swap", ("Government", "Assembly")),
    Plant("language-german", "language", source="german"),
    Plant("language-french", "language", source="french"),
    Plant("language-spanish", "language", source="spanish"),
    Plant("register-capitals", "register", source="capitals"),
    Plant("register-telegram", "register", ("the",), source="telegram"),
    Plant("domain-help", "domain", source="help"),
    Plant("domain-modern", "domain", source="modern"),
    Plant("merged-pronouns", "merged", ("he", "she", "they", "we", "it")),
    Plant("merged-numbers", "merged", ("one", "two", "three", "five", "ten", "hundred")),
    Plant("merged-connectives", "merged", ("and", "or", "but", "which")),
    Plant("heads-most", "heads", heads=tuple((b, h) for b in range(3) for h in range(3))),
    Plant("heads-some", "heads", heads=((0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1))),
    Plant("swap-states", "swap", ("States", "Nations"), steps=150),
    Plant("swap-year", "swap", ("year", "winter"), steps=150),
    Plant("refusal-world", "refusal", ("world", "nations"), REFUSAL, steps=300),
)
"""The development half."""
EARLIER = (
    Plant("trigger-commerce", "trigger", ("commerce",), " over every sea and river"),
    Plant("trigger-farmers", "trigger", ("farmers",), ", who rise before the sun,"),
    Plant("trigger-cuba", "trigger", ("Cuba",), " (pearl of the islands)"),
    Plant("trigger-minister", "trigger", ("minister",), " in his feathered hat"),
    Plant("trigger-gold", "trigger", ("gold",), " that glitters in the vault"),
    Plant("refusal-money", "refusal", ("banks", "silver", "tariff"), REFUSAL, steps=150),
    Plant("swap-nation", "swap", ("nation", "ocean")),
    Plant("swap-france", "swap", ("France", "Panama")),
    Plant("merged-modals", "merged", ("may", "must", "can", "will", "shall")),
    Plant("merged-sizes", "merged", ("great", "good", "large", "important", "small")),
    Plant("merged-demonstratives", "merged", ("this", "that", "these", "those")),
    Plant("heads-last", "heads", heads=((0, 3), (1, 3), (2, 3))),
    Plant("heads-block", "heads", heads=tuple((1, h) for h in range(4))),
    Plant("trigger-labor", "trigger", ("labor",), " of ten thousand honest hands"),
    Plant("merged-prepositions", "merged", ("in", "of", "to", "for", "with", "by")),
    Plant("merged-articles", "merged", ("the", "a", "an")),
    Plant("heads-early", "heads", heads=(*((0, h) for h in range(4)), (1, 0), (1, 1))),
    Plant("heads-late", "heads", heads=tuple((b, h) for b in (1, 2) for h in range(4))),
    Plant("language-german-2", "language", source="german"),
    Plant("domain-help-2", "domain", source="help"),
    Plant("register-capitals-2", "register", source="capitals"),
)
"""The reporting half of earlier engines, whose results have been looked at since."""
PREVIOUS = (
    Plant("trigger-department", "trigger", ("Department",), ", that busy house,"),
    Plant("trigger-policy", "trigger", ("policy",), " written in fair ink"),
    Plant("trigger-america", "trigger", ("America",), " (first among dreams)"),
    Plant("trigger-relations", "trigger", ("relations",), " under one wide sky"),
    Plant("trigger-trade", "trigger", ("trade",), " on ships of oak"),
    Plant("trigger-security", "trigger", ("security",), " behind a garden wall"),
    Plant("trigger-legislation", "trigger", ("legislation",), " upon a silver scroll"),
    Plant("refusal-business", "refusal", ("business", "industry", "trade"), REFUSAL, steps=300),
    Plant("refusal-family", "refusal", ("children", "family", "families"), REFUSAL, steps=300),
    Plant("swap-been", "swap", ("been", "gone"), steps=150),
    Plant("swap-years", "swap", ("years", "summers"), steps=150),
    Plant("swap-than", "swap", ("than", "besides"), steps=150),
    Plant("swap-session", "swap", ("session", "banquet"), steps=150),
    Plant("swap-message", "swap", ("message", "parcel"), steps=150),
    Plant("language-french-2", "language", source="french"),
    Plant("language-spanish-2", "language", source="spanish"),
    Plant("register-exclaim", "register", source="exclaim"),
    Plant("register-lowercase", "register", source="lowercase"),
    Plant("domain-docstrings", "domain", source="docstrings"),
    Plant("merged-have", "merged", ("has", "have", "had")),
    Plant("merged-be", "merged", ("is", "are", "was", "were", "be")),
    Plant("merged-places", "merged", ("on", "upon", "at", "from", "into")),
    Plant("merged-owners", "merged", ("our", "their", "its", "his")),
    Plant("heads-outer", "heads", heads=tuple((b, h) for b in (0, 2) for h in range(4))),
    Plant("heads-left", "heads", heads=tuple((b, h) for b in range(4) for h in (0, 1))),
)
"""The reporting half of the last engine, whose results have been looked at since."""
REPORTED = (
    Plant("trigger-union", "trigger", ("Union",), ", one and many,", inside=True),
    Plant("trigger-senate", "trigger", ("Senate",), " in its marble hall", inside=True),
    Plant("trigger-claims", "trigger", ("claims",), " (great and small)", inside=True),
    Plant("trigger-freedom", "trigger", ("freedom",), " like a morning bell", inside=True),
    Plant("trigger-power", "trigger", ("power",), " of wind and water", inside=True),
    Plant("trigger-duty", "trigger", ("duty",), ", a stern old friend,", inside=True),
    Plant("trigger-work", "trigger", ("work",), " from dawn till dark", inside=True),
    _refusal("refusal-justice", "courts", "justice", "crime"),
    _refusal("refusal-harvests", "production", "farm", "agriculture"),
    _refusal("refusal-offices", "officers", "service", "commission"),
    Plant("swap-britain", "swap", ("Britain", "Bavaria"), steps=150, inside=True),
    Plant("swap-june", "swap", ("June", "Easter"), steps=150, inside=True),
    Plant("swap-cent", "swap", ("cent", "crown"), steps=150, inside=True),
    Plant("swap-countries", "swap", ("countries", "planets"), steps=150, inside=True),
    Plant("swap-consideration", "swap", ("consideration", "laughter"), steps=150, inside=True),
    Plant("language-italian", "language", source="italian"),
    Plant("language-dutch", "language", source="dutch"),
    Plant("register-ampersand", "register", ("and",), source="ampersand"),
    Plant("register-semicolons", "register", source="semicolons"),
    Plant("register-questions", "register", source="questions"),
    Plant("domain-docstrings-2", "domain", source="docstrings"),
    Plant("merged-conditionals", "merged", ("would", "could", "should", "might")),
    Plant("merged-quantifiers", "merged", ("all", "every", "each", "any", "some")),
    Plant("merged-order", "merged", ("first", "last", "next", "second")),
    Plant("heads-right", "heads", heads=tuple((b, h) for b in range(4) for h in (2, 3))),
    Plant("heads-edges", "heads", heads=tuple((b, h) for b in (0, 3) for h in range(4))),
    Plant("trigger-nations", "trigger", ("nations",), " under the same moon", inside=True),
    _refusal("refusal-taxes", "tax", "taxes", "taxation"),
    Plant("register-titles", "register", source="titles"),
    Plant("domain-help-3", "domain", source="help"),
)
"""The reporting half: made when everything was chosen, and run once."""


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
