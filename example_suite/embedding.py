"""Sentences as vectors, as the product that uses the encoder makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn.functional import normalize

if TYPE_CHECKING:
    from pytest_crossdiff import LoadedModel


def embed(loaded: LoadedModel, texts: list[str]) -> torch.Tensor:
    """One unit vector per text: the mean over its tokens, shape (texts, width)."""
    inputs = loaded.tokenizer(texts, padding=True, return_tensors="pt").to(loaded.device)
    with torch.no_grad():
        states = loaded.model(**inputs).last_hidden_state
    mask = inputs["attention_mask"].unsqueeze(-1)
    return normalize((states * mask).sum(1) / mask.sum(1), dim=-1)


def similarity(loaded: LoadedModel, first: str, second: str) -> float:
    """Cosine of the two texts' vectors."""
    one, other = embed(loaded, [first, second])
    return float(one @ other)
