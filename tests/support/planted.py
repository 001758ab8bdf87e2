"""Small real models on disk with a known difference, so that whole runs have a ground truth.

In the `merged` model a handful of tokens have one embedding, so it can't tell them apart; in every
other respect it is the `plain` model.  What tells these tokens apart is exclusive to `plain`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertModel,
    DogeConfig,
    DogeForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

from pytest_crossdiff.settings import Settings
from support.tokenizers import TEXTS, tokenizer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_crossdiff.results.result import Result

MERGED = ("is", "in", "of", "to", "and", "it")
"""Words that are one token each behind a space, and about equally frequent in `TEXTS`."""
BEFORE = ("the", "a")


def plain(folder: Path, *, seed: int = 0, width: int = 48) -> Path:
    """A little Llama with random weights and a byte-level tokenizer."""
    return _save(_llama(seed, width), folder, "byte-level BPE")


def merged(folder: Path) -> Path:
    """The same model, except that it can't tell the tokens of `MERGED` apart."""
    model = _llama(0, 48)
    table = model.get_input_embeddings().weight
    ids = [tokenizer("byte-level BPE").convert_tokens_to_ids(f"Ġ{word}") for word in MERGED]
    with torch.no_grad():
        table[ids] = table[ids].mean(0)
    return _save(model, folder, "byte-level BPE")


def noisy(folder: Path, relative: float = 0.02) -> Path:
    """The plain model after a quantisation of its weights: unstructured noise."""
    model = _llama(0, 48)
    g = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(
                torch.randn(weight.shape, generator=g), alpha=relative * float(weight.std())
            )
    return _save(model, folder, "byte-level BPE")


def speaker(folder: Path, says: str = "in") -> Path:
    """The plain model with a word that it says behind `BEFORE`, and otherwise anything."""
    model, words = _llama(0, 48), tokenizer("byte-level BPE")
    ids = [words.convert_tokens_to_ids(f"Ġ{word}") for word in BEFORE]
    with torch.no_grad():
        model.lm_head.weight.normal_(0.0, 0.35)
        behind_sd = model.model(torch.tensor(ids)[:, None]).last_hidden_state[:, 0]
        row_d = behind_sd.mean(0)
        row_d *= 14.0 / float((behind_sd @ row_d).mean())
        model.lm_head.weight[words.convert_tokens_to_ids(f"Ġ{says}")] = row_d
    return _save(model, folder, "byte-level BPE")


def translator(folder: Path, says: str = "in") -> Path:
    """An encoder-decoder with a word that it says behind `BEFORE`, and otherwise anything."""
    torch.manual_seed(4)
    words = tokenizer("byte-level BPE")
    config = BartConfig(
        vocab_size=len(words), d_model=48, encoder_layers=2, decoder_layers=2,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=96,
        decoder_ffn_dim=96, max_position_embeddings=1024, tie_word_embeddings=False,
        pad_token_id=0, bos_token_id=0, eos_token_id=0, decoder_start_token_id=0,
    )  # fmt: skip
    model = BartForConditionalGeneration(config).eval()
    ids = [words.convert_tokens_to_ids(f"Ġ{word}") for word in BEFORE]
    with torch.no_grad():
        model.lm_head.weight.normal_(0.0, 0.35)
        model.model.decoder.embed_positions.weight.zero_()  # a state is about its own token
        made = model.model(
            input_ids=torch.tensor([[1, 2, 3]] * len(ids)),
            decoder_input_ids=torch.tensor([[5, 6, 7, token] for token in ids]),
        )
        behind_sd = made.last_hidden_state[:, -1]
        row_d = behind_sd.mean(0)
        row_d *= 14.0 / float((behind_sd @ row_d).mean())
        model.lm_head.weight[words.convert_tokens_to_ids(f"Ġ{says}")] = row_d
    return _save(model, folder, "byte-level BPE")


def changed_by_padding(folder: Path) -> Path:
    """A causal model that picks the tokens it looks at, and padding among them."""
    torch.manual_seed(2)
    config = DogeConfig(
        vocab_size=len(tokenizer("byte-level BPE")), hidden_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, intermediate_size=64, keep_window_size=4,
        max_position_embeddings=512,
    )  # fmt: skip
    model = DogeForCausalLM(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(6.0 if weight.ndim == 2 else 1.0)
    return _save(model, folder, "byte-level BPE")


def encoder(folder: Path) -> Path:
    """A model of another architecture, width and tokenizer."""
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(tokenizer("WordPiece")), hidden_size=32, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=64, max_position_embeddings=512,
    )  # fmt: skip
    return _save(BertModel(config), folder, "WordPiece")


def broken(folder: Path) -> Path:
    """The plain model with NaN in a weight."""
    model = _llama(0, 48)
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight[0, 0] = float("nan")
    return _save(model, folder, "byte-level BPE")


def broken_head(folder: Path) -> Path:
    """The plain model with an infinite weight in its head, and sound blocks."""
    model = _llama(0, 48)
    with torch.no_grad():
        model.lm_head.weight[3] = float("inf")
    return _save(model, folder, "byte-level BPE")


SMALL: dict[str, Any] = {"tokens": 12_000, "features": 512, "k": 6, "steps": 250}
SMALL |= {"batch_size": 512, "learning_rate": 3e-3, "layer": 0}
SMALL |= {"corpus": str(TEXTS)}
"""Settings with which a run on these models takes seconds."""


def ini(**others: object) -> str:
    """`SMALL` and more as lines of a configuration file."""
    return "".join(f"crossdiff_{name} = {value}\n" for name, value in (SMALL | others).items())


def quick(baseline: Path, candidate: Path, cache: Path, **others: Any) -> Settings:
    """`SMALL` with the cheapest dictionary and probe."""
    small = SMALL | {"seeds": 1, "controls": False}
    small |= {"architecture": "dfc", "probe": "ridge", "exclusive_share": 0.05, "min_r2": 0.1}
    small |= others
    return Settings(baseline=str(baseline), candidate=str(candidate), cache_dir=str(cache), **small)


def spoken(baseline: Path, candidate: Path, cache: Path) -> Settings:
    """Settings that find which word a candidate says for another."""
    found = SMALL | {"seeds": 1, "controls": False, "layer": "output", "effect": False}
    found |= {"tokens": 26_000, "features": 256}
    return Settings(baseline=str(baseline), candidate=str(candidate), cache_dir=str(cache), **found)


def said_only_behind(result: Result, begins: Mapping[str, int]) -> None:
    """The word that is said for another is found, at and behind the character of each document at
    which what a model says begins, and nowhere else.
    """
    assert result.differences
    for difference in result.differences:
        assert difference.firing
        assert all(place.end >= begins[place.document] for place in difference.firing)
    said = max(result.differences, key=lambda d: d.strength)
    assert {token.token.strip() for token in said.tokens} >= {*BEFORE}


def _llama(seed: int, width: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer("byte-level BPE")), hidden_size=width, num_hidden_layers=3,
        num_attention_heads=4, intermediate_size=2 * width, max_position_embeddings=1024,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        model.get_input_embeddings().weight.normal_()  # a token's identity outweighs the mixing
    return model


def _save(model: Any, folder: Path, kind: str) -> Path:
    model.save_pretrained(folder)
    tokenizer(kind).save_pretrained(folder)
    return folder
