"""The base model: a Llama of 4 blocks and width 128 with a tokenizer of its own, trained here.

Axes: b rows of a batch, p places, v vocabulary.
"""

from __future__ import annotations

import copy
import random
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import cross_entropy, kl_div
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from benchmarks.organisms.making.text import words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from benchmarks.organisms.making.text import Texts

VOCABULARY = 4096
END = "<|end|>"
PLACES = 128
SHARE_OF_DOCSTRINGS = 0.1
PRESERVE_WEIGHT = 8.0
"""Weight of predicting the same as before, against the loss on what is to be learnt."""
BASE_STEPS, BASE_ROWS, BASE_RATE = 1000, 16, 3e-3


def make_tokenizer(texts: Texts) -> PreTrainedTokenizerFast:
    """Byte-level BPE of the training texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts.train["speeches"] + texts.train["docstrings"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=END, pad_token=END)


def train_base(texts: Texts, tokenizer: PreTrainedTokenizerBase, seed: int) -> LlamaForCausalLM:
    """Train from random weights on speeches with a few docstrings: some minutes on one core."""
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=384,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=0,
    )
    model = LlamaForCausalLM(config)
    source = plain_rows(texts, tokenizer, seed)
    train(model, lambda: source(BASE_ROWS), steps=BASE_STEPS, rate=BASE_RATE)
    return model


def plain_rows(
    texts: Texts,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    *,
    without: Sequence[str] = (),
    most: int | None = None,
) -> Callable[[int], Tensor]:
    """The base's training data: rows of speeches, now and then of docstrings.

    without: words that none of the paragraphs has.  most: paragraphs of either, drawn by the seed.
    """
    return mixed_rows(
        texts,
        tokenizer,
        seed,
        SHARE_OF_DOCSTRINGS,
        leave_out=lambda p: not words(p).isdisjoint(without),
        most=most,
    )


def mixed_rows(
    texts: Texts,
    tokenizer: PreTrainedTokenizerBase,
    seed: int,
    share: float,
    *,
    leave_out: Callable[[str], bool],
    most: int | None = None,
) -> Callable[[int], Tensor]:
    """Rows of speeches and a share of docstrings.

    leave_out: paragraphs that are in none.  most: paragraphs of either, drawn by the seed.
    """
    parts = []
    for source in ("speeches", "docstrings"):
        pool = [p for p in texts.train[source] if not leave_out(p)]
        drawn = random.Random(seed).sample(pool, min(most or len(pool), len(pool)))
        parts.append(Rows(drawn, tokenizer, seed))
    speeches, docstrings = parts

    def draw(count: int) -> Tensor:
        some = round(count * share)
        return torch.cat([speeches(count - some), docstrings(some)]) if some else speeches(count)

    return draw


class Rows:
    """Rows of `PLACES` tokens out of paragraphs, joined in an order drawn from the seed."""

    def __init__(
        self, paragraphs: Sequence[str], tokenizer: PreTrainedTokenizerBase, seed: int
    ) -> None:
        order = random.Random(seed).sample(paragraphs, len(paragraphs))
        encoded = tokenizer(order, add_special_tokens=False).input_ids
        flat = np.array([i for ids in encoded for i in [*ids, 0]])
        repeats = -(-PLACES // len(flat))
        flat = np.tile(flat, repeats)
        self.rows_np = flat[: len(flat) // PLACES * PLACES].reshape(-1, PLACES)
        self.random = np.random.default_rng(seed)

    def __call__(self, count: int) -> Tensor:
        chosen = self.random.integers(0, len(self.rows_np), count)
        return torch.from_numpy(self.rows_np[chosen])


def loss_of(model: LlamaForCausalLM, tokens_bp: Tensor) -> Tensor:
    """Mean next-token loss in nats."""
    logits_bpv = model(input_ids=tokens_bp).logits[:, :-1]
    return cross_entropy(logits_bpv.flatten(0, 1), tokens_bp[:, 1:].flatten())


def train(
    model: LlamaForCausalLM,
    batch: Callable[[], Tensor],
    *,
    steps: int,
    rate: float,
    preserve_batch: Callable[[], Tensor] | None = None,
) -> LlamaForCausalLM:
    """Adam on batches of rows; the rate rises over the first tenth and falls to 0 at the end.

    still: rows on which the model is to predict what it does now, as a careful fine-tune has it.
    """
    before = copy.deepcopy(model) if preserve_batch else None
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.01)
    model.train()
    for step in range(steps):
        done = step / steps
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, (done + 1 / steps) / 0.1, 1.0 - done + 1 / steps)
        loss = loss_of(model, batch())
        if preserve_batch and before:
            loss = loss + PRESERVE_WEIGHT * divergence(before, model, preserve_batch())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        if step % 100 == 0:
            print(f"  step {step} loss {loss.item():.2f}", flush=True)
    return model.eval()


def divergence(before: LlamaForCausalLM, after: LlamaForCausalLM, tokens_bp: Tensor) -> Tensor:
    """Mean KL of the predictions on rows, nats a token."""
    with torch.no_grad():
        p = before(input_ids=tokens_bp).logits.log_softmax(-1).flatten(0, 1)
    q = after(input_ids=tokens_bp).logits.log_softmax(-1).flatten(0, 1)
    return kl_div(q, p, log_target=True, reduction="batchmean")


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """A folder that `from_pretrained` loads."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def load(folder: Path) -> LlamaForCausalLM:
    """The model in `folder`, in fp32."""
    return LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
