"""A tokenizer from a GGUF file, with what transformers leaves out of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokenizers import AddedToken, Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from pytest_crossdiff.engine.models.loading.gguf.reading import TokenizerGaps

_DIGITS = {"type": "Digits", "individual_digits": True}
_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def fill_gaps(tokenizer: PreTrainedTokenizerBase, gaps: TokenizerGaps) -> None:
    """Change `tokenizer` so that it does what the file says."""
    if not any(gaps[:-1]):
        return
    fast: Any = tokenizer
    parts = json.loads(fast.backend_tokenizer.to_str())
    if gaps.single_digits:
        parts["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [_DIGITS, _BYTES]}
    if gaps.whole_words:
        parts["model"]["ignore_merges"] = True
    if gaps.composed:
        parts["normalizer"] = {"type": "NFC"}
    if gaps.no_prefix:
        _drop_prefix(parts)
    _name_control_tokens(parts, dict(gaps.control))
    rebuilt = Tokenizer.from_str(json.dumps(parts))
    rebuilt.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for _, token in gaps.control]
    )
    fast._tokenizer = rebuilt


def _drop_prefix(parts: dict[str, Any]) -> None:
    """Put no space before a text, and take none off when tokens are decoded."""
    for part in (*_members(parts, "pre_tokenizer"), *_members(parts, "decoder")):
        if part["type"] == "Metaspace":
            part["prepend_scheme"] = "never"
    for name, unwanted in (("normalizer", "Prepend"), ("decoder", "Strip")):
        whole = parts[name]
        for key in ("normalizers", "decoders"):
            if whole and key in whole:
                whole[key] = [part for part in whole[key] if part["type"] != unwanted]


def _members(parts: dict[str, Any], name: str) -> list[dict[str, Any]]:
    whole = parts[name]
    return [whole, *whole.get("pretokenizers", []), *whole.get("decoders", [])] if whole else []


def _name_control_tokens(parts: dict[str, Any], control: dict[int, str]) -> None:
    """Spell control tokens as texts do, at the places that the file gives them."""
    vocabulary = parts["model"]["vocab"]
    names = {number: token for token, number in vocabulary.items()}
    for number, token in control.items():
        vocabulary.pop(names.get(number, ""), None)
        vocabulary[token] = number
    taken = set(control.values())
    parts["added_tokens"] = [
        added for added in parts["added_tokens"] if added["content"] not in taken
    ]
