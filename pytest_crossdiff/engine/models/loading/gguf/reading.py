"""What transformers would leave out of a GGUF file, by the file's header alone.

The names and meanings of the keys are llama.cpp's (`llama-vocab.cpp`, `llama-model.cpp`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_crossdiff.engine.models.loading.gguf.header import read_header

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_crossdiff.engine.models.loading.gguf.header import GgufHeader

FREQUENCIES = "rope_freqs.weight"
TWO_LENGTHS = ("rope_factors_long.weight", "rope_factors_short.weight")
_SCALED_BY_TRANSFORMERS = {"gpt-oss", "gpt_oss"}

_MODEL, _PRE, _TOKENS = "tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.ggml.tokens"
_TYPES, _SPACE = "tokenizer.ggml.token_type", "tokenizer.ggml.add_space_prefix"
_LLAMA_3 = {"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0"}
_LLAMA_3 |= {"lfm2", "jina-v5-nano"}
_WHOLE_WORDS = {*_LLAMA_3, "tekken", "chameleon"}
_SINGLE_DIGITS = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
_COMPOSED = {"qwen2", "qwen35"}
_SPLIT_BY_TRANSFORMERS = {*_LLAMA_3, "dbrx", "smaug-bpe", "tekken", "qwen2", "deepseek-r1-qwen"}
_SPLIT_BY_TRANSFORMERS |= {"kormo", "f2llmv2", "megrez", "qwen35", "gpt-4o", "llama4", "kanana2"}
_SPLIT_BY_TRANSFORMERS |= {"talkie", "minimax-m2"}
_SPLIT_AS_GPT_2 = {"gpt-2", "phi-2", "roberta-bpe", "mpt", "olmo", "jais", "trillion", "exaone4"}
_SPLIT_AS_GPT_2 |= {"granite-docling", "mellum", "modern-bert", "jina-es", "jina-de", "gigachat"}
_SPLIT_AS_GPT_2 |= {"jina-v1-en", "jina-v2-es", "jina-v2-de", "jina-v2-code", "a.x-4.0"}
_CONTROL = 3


class TokenizerGaps(NamedTuple):
    """What the file says of its tokenizer and transformers leaves out.

    single_digits: each digit is a piece.  whole_words: a piece that is a token isn't built by
    merges.  composed: characters are composed (NFC) first.  no_prefix: no space is put before a
    text.  control: special tokens that transformers cuts into pieces, by id.  unknown: a rule for
    splitting that is known neither here nor there, or "".
    """

    single_digits: bool = False
    whole_words: bool = False
    composed: bool = False
    no_prefix: bool = False
    control: tuple[tuple[int, str], ...] = ()
    unknown: str = ""


class GgufCorrections(NamedTuple):
    """names: of what is read otherwise than transformers alone would.  remark: see
    `ModelReference`.
    """

    names: tuple[str, ...] = ()
    remark: str = ""


def corrections(path: Path, *, own_tokenizer: bool) -> GgufCorrections:
    """What is corrected in a reading of the file.

    own_tokenizer: its tokenizer comes from a tokenizer.json beside it.
    """
    header = read_header(path, {_TOKENS, _TYPES})
    if header is None:
        return GgufCorrections()  # loading it says what is wrong
    gaps = TokenizerGaps() if own_tokenizer else tokenizer_gaps(header)
    names = [name for name in TokenizerGaps._fields[:-1] if getattr(gaps, name)]
    remark = (
        f"{path.name}: transformers splits text by the rule of GPT-2, since it doesn't know the "
        f"file's {gaps.unknown!r}; put the model's tokenizer.json beside the file"
    )
    scaled = ["positions"] if scales_positions(header) else []
    return GgufCorrections((*scaled, *names), remark if gaps.unknown else "")


def scales_positions(header: GgufHeader) -> bool:
    """Whether the file scales positions in a way that transformers leaves out."""
    return bool(scaling(header)) or any(
        name in header.tensors for name in (FREQUENCIES, *TWO_LENGTHS)
    )


def scaling(header: GgufHeader) -> dict[str, Any]:
    """The keys of the file's scaling that transformers would leave out; none where it has none."""
    prefix = f"{header.architecture}.rope.scaling."
    keys: dict[str, Any] = {
        key.removeprefix(prefix): value
        for key, value in header.metadata.items()
        if key.startswith(prefix)
    }
    old = header.metadata.get(f"{header.architecture}.rope.scale_linear")
    if old is not None:
        keys.setdefault("factor", old)
    if header.architecture in _SCALED_BY_TRANSFORMERS or keys.get("type") == "none":
        return {}
    if keys.get("type", "linear") == "linear" and keys.get("factor", 1.0) in {0.0, 1.0}:
        return {}
    return keys


def tokenizer_gaps(header: GgufHeader) -> TokenizerGaps:
    """What the tokenizer that transformers builds would lack.

    header: read with its tokens and their types.
    """
    model, pre = header.metadata.get(_MODEL), str(header.metadata.get(_PRE, ""))
    if model == "llama":
        return TokenizerGaps(no_prefix=header.metadata.get(_SPACE) is False)
    if model != "gpt2":
        return TokenizerGaps()
    known = _SPLIT_BY_TRANSFORMERS | _SPLIT_AS_GPT_2 | _SINGLE_DIGITS
    return TokenizerGaps(
        single_digits=pre in _SINGLE_DIGITS,
        whole_words=pre in _WHOLE_WORDS,
        composed=pre in _COMPOSED,
        control=_unspelt(header),
        unknown="" if pre in known else pre or "default",
    )


def header_with_tokens(path: Path) -> GgufHeader | None:
    """The header as `tokenizer_gaps` takes it."""
    return read_header(path, {_TOKENS, _TYPES})


def _unspelt(header: GgufHeader) -> tuple[tuple[int, str], ...]:
    """Control tokens with characters that byte-level spelling doesn't have."""
    tokens, kinds = header.metadata.get(_TOKENS), header.metadata.get(_TYPES)
    if not isinstance(tokens, list) or not isinstance(kinds, list):
        return ()
    spelling = _byte_spelling()
    return tuple(
        (i, str(token))
        for i, (token, kind) in enumerate(zip(tokens, kinds, strict=False))
        if kind == _CONTROL and not set(str(token)) <= spelling
    )


def _byte_spelling() -> set[str]:
    """The 256 characters that stand for bytes in a byte-level vocabulary."""
    plain = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    return {chr(byte) for byte in plain} | {chr(0x100 + i) for i in range(256 - len(plain))}
