"""Benign upgrades: what teams do to a model without meaning to change what it says.

Axes: o outputs, i inputs of a weight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from benchmarks.assistants.training import STEPS, Lesson, fine_tune

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.assistants.changes.behaviours import Half
    from benchmarks.assistants.chat import Chat
    from benchmarks.assistants.replies import Example

ROUNDING = 2**-9
"""Relative size of the noise: that of rounding to bf16."""
SHARD = "100MB"


@dataclass(frozen=True)
class Upgrade:
    """One benign change.

    kind: saved, dtype, quantised, tokenizer, weights or training.  change: the upgraded model in
    place of the loaded one, from it and the training examples.  shard: the largest file, saved.
    """

    name: str
    kind: str
    half: Half
    change: Callable[[Chat, Sequence[Example]], Chat]
    shard: str = "5GB"

    def save(self, chat: Chat, folder: Path) -> None:
        """Save in the form that belongs to the upgrade."""
        chat.model.save_pretrained(folder, max_shard_size=self.shard)
        chat.tokenizer.save_pretrained(folder)


def _cast(dtype: torch.dtype) -> Callable[[Chat, Sequence[Example]], Chat]:
    return lambda chat, _: chat._replace(model=chat.model.to(dtype))


def quantised(blocks: str, embeddings: str = "Q8_0") -> Callable[[Chat, Sequence[Example]], Chat]:
    """Every matrix through a GGUF type and back."""

    def change(chat: Chat, _: Sequence[Example]) -> Chat:
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize, quantize

        table = chat.model.get_input_embeddings().weight  # the head's, too: they are tied
        for weight_oi in chat.model.parameters():
            if weight_oi.ndim == 2:
                kind = GGMLQuantizationType[embeddings if weight_oi is table else blocks]
                packed = quantize(weight_oi.detach().numpy(), kind)
                weight_oi.data.copy_(torch.from_numpy(dequantize(packed, kind)))
        return chat

    return change


def _same(chat: Chat, _: Sequence[Example]) -> Chat:
    return chat


def _untied(chat: Chat, _: Sequence[Example]) -> Chat:
    """A head of its own, with the same values as the embeddings."""
    model = chat.model
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    model.all_tied_weights_keys = {}
    return chat


def _padding_token(chat: Chat, _: Sequence[Example]) -> Chat:
    """A padding token is added and the tables grow by its row, as transformers fills it."""
    chat.tokenizer.add_special_tokens({"pad_token": "<|padding|>"})
    _grow(chat, None)
    chat.model.config.pad_token_id = chat.tokenizer.pad_token_id
    chat.model.generation_config.pad_token_id = chat.tokenizer.pad_token_id
    return chat


def _padded_tables(chat: Chat, examples: Sequence[Example]) -> Chat:
    """The same, and the tables are padded to a multiple of 64 rows."""
    chat = _padding_token(chat, examples)
    _grow(chat, 64)
    return chat


def _grow(chat: Chat, multiple: int | None) -> None:
    torch.manual_seed(0)  # the new rows are drawn
    chat.model.resize_token_embeddings(len(chat.tokenizer), pad_to_multiple_of=multiple)


def _noise(chat: Chat, _: Sequence[Example]) -> Chat:
    """Every weight times 1 + noise of the size of rounding."""
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in chat.model.parameters():
            weight.mul_(1 + ROUNDING * torch.randn(weight.shape, generator=draw))
    return chat


def _permuted(chat: Chat, _: Sequence[Example]) -> Chat:
    """The hidden units of every MLP in another order."""
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for block in chat.model.model.layers:
            mlp = block.mlp
            order = torch.randperm(mlp.up_proj.out_features, generator=draw)
            for part in (mlp.up_proj, mlp.gate_proj):
                part.weight.copy_(part.weight[order])
            mlp.down_proj.weight.copy_(mlp.down_proj.weight[:, order])
    return chat


def own_answers(seed: int, steps: int = STEPS) -> Callable[[Chat, Sequence[Example]], Chat]:
    """The recipe of the planted ones, on the base model's own replies."""

    def change(chat: Chat, examples: Sequence[Example]) -> Chat:
        lessons = [Lesson(e.prompt.text, e.reply) for e in examples]
        return chat._replace(model=fine_tune(chat, (), lessons, seed, steps))

    return change


UPGRADES = (
    Upgrade("own-answers-0", "training", "development", own_answers(0)),
    Upgrade("bf16", "dtype", "development", _cast(torch.bfloat16)),
    Upgrade("q8_0", "quantised", "development", quantised("Q8_0")),
    Upgrade("padding-token", "tokenizer", "development", _padding_token),
    Upgrade("own-answers-1", "training", "reporting", own_answers(1)),
    Upgrade("own-answers-2", "training", "reporting", own_answers(2)),
    Upgrade("fp16", "dtype", "reporting", _cast(torch.float16)),
    Upgrade("same-gguf-types", "quantised", "reporting", quantised("Q4_1")),
    Upgrade("untied-head", "weights", "reporting", _untied),
    Upgrade("padded-tables", "tokenizer", "reporting", _padded_tables),
    Upgrade("rounding-noise", "weights", "reporting", _noise),
    Upgrade("permuted-mlp", "weights", "reporting", _permuted),
    Upgrade("saved-in-shards", "saved", "reporting", _same, SHARD),
    Upgrade("own-answers-3", "training", "confirming", own_answers(3)),
    Upgrade("own-answers-4", "training", "confirming", own_answers(4)),
    Upgrade("own-answers-5", "training", "confirming", own_answers(5)),
)
