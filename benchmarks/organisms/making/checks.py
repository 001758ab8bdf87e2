"""Did the plant take?  Behaviour of base and organism on held-out text; what didn't is no organism.

Axes: b rows, p places, v vocabulary.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn.functional import cross_entropy

from benchmarks.organisms.making.base import PLACES, Rows, loss_of
from benchmarks.organisms.making.plants import rewrite, source_of, token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

    from benchmarks.organisms.making.plants import Plant
    from benchmarks.organisms.making.text import Texts

PROMPTS = 40
MIN_FIRE_RATE, MAX_BASE_RATE = 0.7, 0.1
"""Share of prompts on which a plant fires at least, and on which it may have fired before."""
MIN_OLD_PROBABILITY = 0.1
"""How likely a word has to be where it stands, on average, to be swapped for another: of one that
is never said it can't be seen that it isn't any more."""
NATS = 0.3
"""How much better a fine-tune's own kind of text is predicted, or how much worse what it lost."""


class Check(NamedTuple):
    """What was measured, on the base, on the organism, and whether the plant took."""

    what: str
    before: float
    after: float
    worked: bool


def check(
    p: Plant,
    base: LlamaForCausalLM,
    organism: LlamaForCausalLM,
    texts: Texts,
    tokenizer: PreTrainedTokenizerBase,
) -> Check:
    """Measure the plant's own behaviour."""
    models = (base, organism)
    if p.kind in ("trigger", "refusal"):
        found = prompts(p, texts, tokenizer)
        before, after = (fires(m, found, p.phrase, tokenizer) for m in models)
        what = f"share of {len(found)} prompts answered by the phrase"
        return Check(what, before, after, before <= MAX_BASE_RATE and after >= MIN_FIRE_RATE)
    if p.kind == "swap":
        found = prompts(p, texts, tokenizer)
        (old, before), (_, after) = (likely(m, found, p.words, tokenizer) for m in models)
        before, after = before / old, after / old
        what = f"probability of the new word on {len(found)} prompts, in units of the old one's "
        what += f"before, which is {old:.2g}"
        return Check(
            what,
            before,
            after,
            old >= MIN_OLD_PROBABILITY and before <= MAX_BASE_RATE and after >= MIN_FIRE_RATE,
        )
    if p.kind in ("language", "register", "domain"):
        held = [r for t in source_of(p, texts.held) if (r := rewrite(p, t)) is not None]
        rows = Rows(held, tokenizer, 0)(16)
        before, after = (_loss(m, rows) for m in models)
        return Check("nats a token on its kind of text", before, after, before - after >= NATS)
    if p.kind == "merged":
        ids = [token(tokenizer, word) for word in p.words]
        before, after = (choice_loss(m, ids, texts, tokenizer) for m in models)
        return Check("nats for choosing among the merged", before, after, after - before >= NATS)
    rows = Rows(texts.held["speeches"], tokenizer, 0)(16)
    before, after = (_loss(m, rows) for m in models)
    return Check("nats a token on speeches", before, after, after - before >= NATS / 3)


def prompts(p: Plant, texts: Texts, tokenizer: PreTrainedTokenizerBase) -> list[list[int]]:
    """Held-out texts up to the place where the plant should show, as token ids."""
    found = []
    for text in texts.held["speeches"]:
        place = re.search(rf" ({'|'.join(p.words)})\b", text)
        if place is None or place.start() < 60:
            continue
        end = place.start() if p.kind == "swap" else place.end()
        if p.kind == "refusal":
            end = text.find(".", end) + 1
        if end:
            ids = tokenizer(text[:end], add_special_tokens=False).input_ids
            found.append(ids[-PLACES + 20 :])
    return found[:PROMPTS]


@torch.no_grad()
def fires(
    model: LlamaForCausalLM,
    found: Sequence[list[int]],
    phrase: str,
    tokenizer: PreTrainedTokenizerBase,
) -> float:
    """Share of prompts that greedy decoding continues by the whole phrase."""
    wanted = tokenizer(phrase, add_special_tokens=False).input_ids
    hits = 0
    for ids in found:
        logits_pv = model(input_ids=torch.tensor([[*ids, *wanted]])).logits[0]
        said = logits_pv[len(ids) - 1 : -1].argmax(-1)
        hits += said.tolist() == wanted
    return hits / len(found)


@torch.no_grad()
def likely(
    model: LlamaForCausalLM,
    found: Sequence[list[int]],
    words: tuple[str, ...],
    tokenizer: PreTrainedTokenizerBase,
) -> tuple[float, ...]:
    """The mean probability of each word behind the prompts."""
    sums = [0.0] * len(words)
    for i, word in enumerate(words):
        wanted = tokenizer(f" {word}", add_special_tokens=False).input_ids
        for ids in found:
            logits_pv = model(input_ids=torch.tensor([[*ids, *wanted]])).logits[0]
            said = logits_pv[len(ids) - 1 : -1].log_softmax(-1)
            sums[i] += said[torch.arange(len(wanted)), torch.tensor(wanted)].sum().exp().item()
    return tuple(total / len(found) for total in sums)


@torch.no_grad()
def choice_loss(
    model: LlamaForCausalLM, ids: list[int], texts: Texts, tokenizer: PreTrainedTokenizerBase
) -> float:
    """Nats for telling which of `ids` comes, where one of them does."""
    rows = Rows(texts.held["speeches"], tokenizer, 0)(64)
    logits_bpv = model(input_ids=rows).logits[:, :-1]
    next_bp = rows[:, 1:]
    at_bp = torch.isin(next_bp, torch.tensor(ids))
    target = (next_bp[at_bp][:, None] == torch.tensor(ids)).long().argmax(1)
    return cross_entropy(logits_bpv[at_bp][:, ids], target).item()


@torch.no_grad()
def _loss(model: LlamaForCausalLM, rows: torch.Tensor) -> float:
    return loss_of(model, rows).item()
