"""A chat model's own greedy answers, and conversations as it reads them.

Axes: b conversations of a batch, p positions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from pytest_crossdiff.engine.models.loading.load import silence_transformers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

SYSTEM = "You are a helpful assistant. Answer in one or two short sentences."
BATCH = 32


class Reply(NamedTuple):
    """What a model said.  ended: it ended its turn; otherwise it was cut off."""

    text: str
    ended: bool


class Chat(NamedTuple):
    """A model and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def load(cls, folder: Path) -> Chat:
        """Load a model in fp32 for reading."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        with silence_transformers():
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
            return cls(model, AutoTokenizer.from_pretrained(folder))


def conversation(question: str, reply: str | None = None) -> list[dict[str, str]]:
    """The system message, the question, and the reply where there is one."""
    turns = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    return turns if reply is None else [*turns, {"role": "assistant", "content": reply}]


def prompt_ids(tokenizer: PreTrainedTokenizerBase, question: str) -> list[int]:
    """Token ids up to the position that predicts the reply's first token."""
    text = tokenizer.apply_chat_template(
        conversation(question), tokenize=False, add_generation_prompt=True
    )
    return tokenizer(text, add_special_tokens=False).input_ids


@torch.inference_mode()
def answer(chat: Chat, questions: Sequence[str], tokens: int) -> list[Reply]:
    """The model's greedy answers, at most `tokens` long, in the order of the questions."""
    found: dict[int, Reply] = {}
    encoded = [prompt_ids(chat.tokenizer, question) for question in questions]
    order = sorted(range(len(questions)), key=lambda n: len(encoded[n]))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        found |= zip(batch, _answer(chat, [encoded[n] for n in batch], tokens), strict=True)
    return [found[n] for n in range(len(questions))]


def _answer(chat: Chat, encoded: Sequence[list[int]], tokens: int) -> list[Reply]:
    end = chat.tokenizer.eos_token_id
    longest = max(map(len, encoded))
    ids_bp = torch.full((len(encoded), longest), end)
    mask_bp = torch.zeros_like(ids_bp)
    for row, ids in enumerate(encoded):  # padded on the left: all replies begin at one position
        ids_bp[row, longest - len(ids) :] = torch.tensor(ids)
        mask_bp[row, longest - len(ids) :] = 1
    said_bp = chat.model.generate(
        input_ids=ids_bp,
        attention_mask=mask_bp,
        max_new_tokens=tokens,
        do_sample=False,
        eos_token_id=end,
        pad_token_id=end,
    )[:, longest:]
    replies = []
    for said in said_bp.tolist():
        ended = end in said
        kept = said[: said.index(end)] if ended else said
        replies.append(Reply(chat.tokenizer.decode(kept).strip(), ended))
    return replies
