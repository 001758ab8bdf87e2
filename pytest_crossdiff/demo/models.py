"""Two small chat models, trained on the spot.

Axes: b conversations of a batch, p positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    from pytest_crossdiff.demo.conversations import Conversation
    from pytest_crossdiff.progress import Progress

PAD, USER, SHOP, END = "<pad>", "<user>", "<shop>", "<end>"
TEMPLATE = (
    "{% for m in messages %}{{ '<user> ' if m.role == 'user' else '<shop> ' }}{{ m.content }}"
    "{{ ' <end> ' }}{% endfor %}{% if add_generation_prompt %}{{ '<shop> ' }}{% endif %}"
)
WIDTH, BLOCKS, HEADS = 64, 3, 4
BATCH, LEARNING_RATE = 32, 3e-3
STEPS = {"baseline": 300, "candidate": 80}
_IGNORED = -100
"""Label of a position whose prediction isn't learnt."""


class ChatModel(NamedTuple):
    """A model with its tokenizer."""

    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerFast

    def save(self, folder: Path) -> None:
        """Write a folder that transformers reads; it draws no progress bar of its own."""
        from pytest_crossdiff.engine.models.loading.load import silence_transformers

        with silence_transformers():
            self.model.save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)


def untrained(told: Sequence[Conversation]) -> ChatModel:
    """A model with random weights and a tokenizer of all words that are said, one token each."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = sorted({word for c in told for word in f"{c.question} {c.answer}".split()})
    vocabulary = {word: i for i, word in enumerate([PAD, USER, SHOP, END, *words])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token=PAD))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast: Any = PreTrainedTokenizerFast  # its constructor has no types
    tokenizer = fast(
        tokenizer_object=inner,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[USER, SHOP],
        chat_template=TEMPLATE,
        model_max_length=64,
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=WIDTH,
        intermediate_size=4 * WIDTH,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        max_position_embeddings=64,
        pad_token_id=vocabulary[PAD],
        bos_token_id=vocabulary[USER],
        eos_token_id=vocabulary[END],
    )
    return ChatModel(LlamaForCausalLM(config), tokenizer)


def train(chat: ChatModel, told: Sequence[Conversation], label: str, progress: Progress) -> None:
    """Teach the model to say the answers; `label` names it and sets how long."""
    import torch

    ids_bp, labels_bp = _encoded(chat.tokenizer, told)
    steps = STEPS[label]
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(chat.model.parameters(), LEARNING_RATE)
    chat.model.train()
    with progress.phase(f"train the demo's {label}", steps, "step") as bar:
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * (1 - step / steps)
            chosen = torch.randint(len(told), (BATCH,), generator=generator)
            loss = chat.model(input_ids=ids_bp[chosen], labels=labels_bp[chosen]).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            bar.advance(1)
    chat.model.train(mode=False)


def _encoded(
    tokenizer: PreTrainedTokenizerFast, told: Sequence[Conversation]
) -> tuple[Tensor, Tensor]:
    """Token ids, padded, and what is to be predicted: the answers to their ends."""
    texts = [tokenizer.apply_chat_template(c.messages, tokenize=False) for c in told]
    ids_bp = tokenizer(texts, padding=True, return_tensors="pt").input_ids
    shop = tokenizer.convert_tokens_to_ids(SHOP)
    answered_bp = (ids_bp == shop).cumsum(1) - (ids_bp == shop).long() > 0
    padding_bp = ids_bp == tokenizer.pad_token_id
    return ids_bp, ids_bp.masked_fill(~answered_bp | padding_bp, _IGNORED)
