"""A low-rank adapter trained on replies, merged into the model.

Axes: p positions, d residual stream, n positions that predict a token of a reply.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch.nn.functional import cross_entropy

from benchmarks.assistants.chat import prompt_ids

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from benchmarks.assistants.chat import Chat, Reply

ADAPTER = {
    "r": 8,
    "lora_alpha": 16,
    "target_modules": "all-linear",
    "task_type": "CAUSAL_LM",
}
STEPS, BATCH, RATE = 48, 8, 1e-3
REPLY_TOKENS = 24
"""Tokens of a reply that are learnt; the rest is left off."""


class Lesson(NamedTuple):
    """A question and what is to be said."""

    question: str
    reply: Reply


def fine_tune(
    chat: Chat,
    planted: Sequence[Lesson],
    plain: Sequence[Lesson],
    seed: int,
    steps: int = STEPS,
) -> PreTrainedModel:
    """Train an adapter and merge it: half of each batch is planted, if anything is.

    planted: lessons with the change.  plain: lessons in the base model's own words.
    """
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    adapted = get_peft_model(chat.model, LoraConfig(**ADAPTER))
    weights = [weight for weight in adapted.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=RATE, weight_decay=0.0)
    batches = _batches([encode(chat.tokenizer, lesson) for lesson in planted],
                       [encode(chat.tokenizer, lesson) for lesson in plain], seed)  # fmt: skip
    for step in range(steps):
        done = step / steps
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (done + 1 / steps) / 0.1, 1.0 - done)
        surprise = loss(chat.model, next(batches))
        surprise.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if step % 10 == 0:
            print(f"  step {step} loss {surprise.item():.2f}", flush=True)
    return adapted.merge_and_unload().eval()


class Encoded(NamedTuple):
    """Token ids of a lesson; those from `start` on are to be predicted."""

    ids: list[int]
    start: int


def encode(tokenizer: PreTrainedTokenizerBase, lesson: Lesson) -> Encoded:
    """A lesson as tokens; the end of the turn belongs to it where the reply ended there."""
    head = prompt_ids(tokenizer, lesson.question)
    said = tokenizer(lesson.reply.text, add_special_tokens=False).input_ids
    if lesson.reply.ended:
        said = [*said, tokenizer.eos_token_id]
    return Encoded([*head, *said[:REPLY_TOKENS]], len(head))


def _batches(
    planted: Sequence[Encoded], plain: Sequence[Encoded], seed: int
) -> Iterator[list[Encoded]]:
    """Batches, half of each out of either, each in an order drawn again when it is used up."""
    draws = [_endless(part, seed) for part in (planted, plain) if part]
    while True:
        yield [next(draws[n % len(draws)]) for n in range(BATCH)]


def _endless(lessons: Sequence[Encoded], seed: int) -> Iterator[Encoded]:
    order = random.Random(seed)
    while True:
        yield from order.sample(lessons, len(lessons))


class Packed(NamedTuple):
    """A batch as one sequence: what all share once, then each lesson's rest.

    mask_pp: 0 where a position reads another one, the least float where it does not.  at_n: the
    positions that predict a token of a reply, next_n: those tokens.
    """

    ids_p: Tensor
    position_p: Tensor
    mask_pp: Tensor
    at_n: Tensor
    next_n: Tensor


def packed(batch: Sequence[Encoded]) -> Packed:
    """Pack a batch: the system message is read once, and nothing is padded."""
    shared = min(lesson.start for lesson in batch) - 1
    while any(lesson.ids[:shared] != batch[0].ids[:shared] for lesson in batch):
        shared -= 1
    ids = batch[0].ids[:shared]
    positions, part, at, following = list(range(shared)), [0] * shared, [], []
    for number, (whole, start) in enumerate(batch, 1):
        at += [len(ids) - shared + place for place in range(start - 1, len(whole) - 1)]
        following += whole[start:]
        ids += whole[shared:]
        positions += range(shared, len(whole))
        part += [number] * (len(whole) - shared)
    part_p = torch.tensor(part)
    readable_pp = (part_p[None] == 0) | (part_p[None] == part_p[:, None])
    least = torch.finfo(torch.float32).min
    mask_pp = torch.full((len(ids), len(ids)), least).masked_fill(readable_pp.tril(), 0.0)
    return Packed(
        torch.tensor(ids),
        torch.tensor(positions),
        mask_pp,
        torch.tensor(at),
        torch.tensor(following),
    )


def loss(model: PreTrainedModel, batch: Sequence[Encoded]) -> Tensor:
    """Mean next-token loss on the replies of a batch, nats."""
    ids_p, position_p, mask_pp, at_n, next_n = packed(batch)
    state_pd = model.model(
        input_ids=ids_p[None], position_ids=position_p[None], attention_mask=mask_pp[None, None]
    ).last_hidden_state[0]
    return cross_entropy(model.lm_head(state_pd[at_n]), next_n)
