"""Changes of a saved model's vocabulary that change nothing in what the model says."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import processors
from transformers import AutoModelForCausalLM, AutoTokenizer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def with_pad_token(source: Path, folder: Path) -> Path:
    """`add_special_tokens` and `resize_token_embeddings`, as a fine-tuning script calls them."""
    model, tokenizer = _load(source)
    tokenizer.add_special_tokens({"pad_token": "<|added pad|>"})
    model.resize_token_embeddings(len(tokenizer))
    return _save(model, tokenizer, folder)


def with_padded_tables(source: Path, folder: Path, multiple: int = 64) -> Path:
    """Embedding tables of a multiple of 64 rows: the last ones have no token."""
    model, tokenizer = _load(source)
    rows = len(model.get_input_embeddings().weight)
    model.resize_token_embeddings(rows + 1, pad_to_multiple_of=multiple)
    return _save(model, tokenizer, folder)


def with_renamed_token(source: Path, folder: Path, token: str) -> Path:
    """The special `token`, which no text contains, under another name."""
    model, tokenizer = _load(source)
    _save(model, tokenizer, folder)
    for path in folder.glob("*token*.json"):
        text = path.read_text("utf-8")
        path.write_text(text.replace(json.dumps(token), '"<|renamed|>"'), "utf-8")
    return folder


def never_says(folder: Path, token: str) -> None:
    """Change a saved model so that it predicts `token` nowhere, as with one that is reserved."""
    model, tokenizer = _load(folder)
    with torch.no_grad():
        model.get_output_embeddings().weight[tokenizer.convert_tokens_to_ids(token)] = 0.0
    _save(model, tokenizer, folder)


def reordered(source: Path, folder: Path, seed: int = 0) -> Path:
    """Every token under another id, with its rows of the embedding and of the head."""
    model, tokenizer = _load(source)
    size = len(tokenizer)
    new_of_old = torch.randperm(size, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for table in {model.get_input_embeddings(), model.get_output_embeddings()}:
            moved = table.weight.clone()
            moved[new_of_old] = table.weight[:size]
            table.weight.copy_(moved)
    _save(model, tokenizer, folder)
    ids = new_of_old.tolist()

    def renumber(saved: dict[str, Any]) -> None:
        vocabulary = saved["model"]["vocab"]
        saved["model"]["vocab"] = {token: ids[old] for token, old in vocabulary.items()}
        for token in saved["added_tokens"]:
            token["id"] = ids[token["id"]]
        saved["added_tokens"].sort(key=lambda token: token["id"])

    change_json(folder / "tokenizer.json", renumber)

    def renumber_added(saved: dict[str, Any]) -> None:
        added = saved.get("added_tokens_decoder", {})
        saved["added_tokens_decoder"] = {str(ids[int(old)]): token for old, token in added.items()}

    change_json(folder / "tokenizer_config.json", renumber_added)
    return folder


def with_bos(tokenizer: Any) -> Any:
    """A copy of the tokenizer that puts its BOS token before each text."""
    made = copy.deepcopy(tokenizer)
    bos = made.bos_token
    made.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, made.bos_token_id)]
    )
    return made


def change_json(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Read a JSON object, `change` it in place, and write it again."""
    saved = json.loads(path.read_text("utf-8"))
    change(saved)
    path.write_text(json.dumps(saved), "utf-8")


def _load(source: Path) -> tuple[Any, Any]:
    return AutoModelForCausalLM.from_pretrained(source), AutoTokenizer.from_pretrained(source)


def _save(model: Any, tokenizer: Any, folder: Path) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
