"""The text that each token of a vocabulary stands for: what two vocabularies are compared by."""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedTokenizerBase

_BYTES = re.compile(r"(<0x[0-9A-F]{2}>)+")
_NO_TEXT = "\ufffd"
"""What decoders put in the place of bytes that are no character."""


def token_texts(tokenizer: PreTrainedTokenizerBase, count: int) -> list[str]:
    """What each of the first `count` tokens adds to a text.

    A special token, and one that adds nothing, has its name; bytes that are no whole character are
    written `<0xE2><0x80>`, however the vocabulary writes them.  Each token is decoded behind
    another one: at the beginning of a text many tokenizers drop the space of a word, and "the"
    could not be told from " the".
    """
    found = tokenizer.convert_ids_to_tokens(list(range(count)))
    names = [f"<{i}>" if name is None else str(name) for i, name in enumerate(found)]
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None and backend.decoder is None:  # nothing that makes a text of tokens
        return [name.replace("▁", " ") for name in names]
    special = set(tokenizer.all_special_ids)
    plain = (i for i in range(count) if i not in special)
    anchor = next((i for i in plain if _decoded(tokenizer, [[i]])[0].isalnum()), None)
    lead = [] if anchor is None else [anchor]
    (before,) = _decoded(tokenizer, [lead])
    behind = _decoded(tokenizer, [[*lead, i] for i in range(count)])
    return [
        name if i in special else _text(text, before, name)
        for i, (text, name) in enumerate(zip(behind, names, strict=True))
    ]


def _text(decoded: str, before: str, name: str) -> str:
    text = decoded[len(before) :] if decoded.startswith(before) else ""
    if _NO_TEXT not in text:
        return text or name
    return name if _BYTES.fullmatch(name) else _spelled_bytes(name)


def _decoded(tokenizer: PreTrainedTokenizerBase, ids: Sequence[list[int]]) -> list[str]:
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        return [str(text) for text in backend.decode_batch(ids, skip_special_tokens=False)]
    as_it_is = {"skip_special_tokens": False, "clean_up_tokenization_spaces": False}
    return [str(tokenizer.decode(token_ids, **as_it_is)) for token_ids in ids]


def _spelled_bytes(name: str) -> str:
    """In bytes, the name of a token of a vocabulary that has a letter for each byte."""
    byte_of = _byte_of_letter()
    if not all(letter in byte_of for letter in name):
        return name
    return "".join(f"<0x{byte_of[letter]:02X}>" for letter in name)


@functools.cache
def _byte_of_letter() -> dict[str, int]:
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters: dict[int, str] = bytes_to_unicode()  # type: ignore[no-untyped-call]
    return {letter: byte for byte, letter in letters.items()}
