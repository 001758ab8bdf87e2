"""The population: small language models, each trained from random weights with a seed of its own.

Architecture, tokenizer, size and mix of text vary over the models, so that a model can be judged by
references of its own kind and by references of other kinds only.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from benchmarks.organisms.making.base import mixed_rows, train
from benchmarks.population.tokenizers import TOKENIZERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from benchmarks.organisms.making.text import Texts

Half = Literal["development", "reporting"]
ARCHITECTURES = ("llama", "gpt2", "neox")
SIZES = {"small": (64, 2), "large": (96, 2)}
"""Width and blocks."""
DOCSTRINGS = {"speeches": 0.1, "mixed": 0.3}
"""Share of docstrings in the training text; the rest is speeches."""
PARAGRAPHS = 5_000
"""Paragraphs of speeches that one model is trained on, drawn by its seed."""
STEPS, ROWS, RATE = 400, 8, 4e-3
COUNTS: dict[Half, int] = {"development": 18, "reporting": 17}


@dataclass(frozen=True)
class Base:
    """How one model of the population is made."""

    name: str
    half: Half
    architecture: str
    tokenizer: str
    size: str
    text: str
    seed: int


def bases(half: Half) -> tuple[Base, ...]:
    """The models of a half: every architecture with every tokenizer about equally often, sizes and
    texts drawn by chance.
    """
    draw = random.Random(half)
    kinds = [(a, t) for a in ARCHITECTURES for t in TOKENIZERS]
    first_seed = {"development": 1_000, "reporting": 2_000}[half]
    found = []
    for number in range(COUNTS[half]):
        architecture, tokenizer = kinds[number % len(kinds)]
        size, text = draw.choice([*SIZES]), draw.choice([*DOCSTRINGS])
        name = f"{half}-{number:02}-{architecture}-{tokenizer}-{size}-{text}"
        found.append(Base(name, half, architecture, tokenizer, size, text, first_seed + number))
    return tuple(found)


def train_model(base: Base, texts: Texts, tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """Train one model: half a minute on one core."""
    torch.manual_seed(base.seed)
    model = new_model(base, len(tokenizer))
    source = plain_rows(base, texts, tokenizer, base.seed)
    train(model, lambda: source(ROWS), steps=STEPS, rate=RATE)
    return model


def plain_rows(
    base: Base,
    texts: Texts,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    *,
    most: int = PARAGRAPHS,
    without: Callable[[str], bool] = lambda _: False,
) -> Callable[[int], Tensor]:
    """Rows of the model's own mix of text.

    most: paragraphs of speeches, drawn by the seed.  without: paragraphs that are left out.
    """
    share = DOCSTRINGS[base.text]
    return mixed_rows(texts, tokenizer, seed, share, leave_out=without, most=most)


def new_model(base: Base, vocabulary: int) -> PreTrainedModel:
    """A model with random weights."""
    width, blocks = SIZES[base.size]
    ends: dict[str, Any] = {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": 0}
    if base.architecture == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocabulary,
                n_embd=width,
                n_layer=blocks,
                n_head=4,
                n_positions=512,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                **ends,
            )
        )
    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": blocks,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        "tie_word_embeddings": True,
    }
    if base.architecture == "neox":
        return GPTNeoXForCausalLM(GPTNeoXConfig(**sizes, intermediate_size=4 * width, **ends))
    return LlamaForCausalLM(LlamaConfig(**sizes, intermediate_size=3 * width, **ends))
