"""Scaled rotary positions of a GGUF file, which transformers leaves out for most architectures.

What the keys mean: llama.cpp's `llama-model.cpp` and `ggml_rope_ext`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from pytest_crossdiff.engine.models.loading.gguf.reading import FREQUENCIES, TWO_LENGTHS, scaling
from pytest_crossdiff.errors import ModelError

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

    from pytest_crossdiff.engine.models.loading.gguf.header import GgufHeader

_YARN = {
    "type",
    "factor",
    "original_context_length",
    "finetuned",
    "attn_factor",
    "yarn_attn_factor",
    "yarn_beta_fast",
    "yarn_beta_slow",
}


def correct_config(
    config: PretrainedConfig, header: GgufHeader, reference: str, source: str
) -> None:
    """Set the file's scaling in `config`.  Raises `ModelError` where that can't be done."""
    keys = scaling(header)
    long = [name for name in TWO_LENGTHS if name in header.tensors]
    if long or keys.get("type") == "longrope":
        raise _refused(f"has positions of two lengths ({', '.join(long) or 'longrope'})",
                       reference, source)  # fmt: skip
    if not keys:
        return
    text: Any = config.get_text_config()
    place = getattr(text, "rope_parameters", None)
    if isinstance(place, dict) and "full_attention" in place:
        place = place["full_attention"]  # sliding windows are short enough without
    kind, factor = keys.get("type", "linear"), float(keys.get("factor", 1.0))
    if not isinstance(place, dict) or place.get("rope_type", "default") != "default":
        raise _refused(f"scales positions ({kind}, factor {factor:g})", reference, source)
    if kind == "linear":
        place |= {"rope_type": "linear", "factor": factor}
    elif kind == "yarn" and keys.keys() <= _YARN:
        share = float(keys.get("yarn_attn_factor", keys.get("attn_factor", 1.0)))
        place |= {
            "rope_type": "yarn",
            "factor": factor,
            "attention_factor": share * (1 + 0.1 * math.log(factor)),
            "beta_fast": float(keys.get("yarn_beta_fast", 32.0)),
            "beta_slow": float(keys.get("yarn_beta_slow", 1.0)),
            "original_max_position_embeddings": int(
                keys.get("original_context_length", text.max_position_embeddings)
            ),
        }
    else:
        raise _refused(f"scales positions ({', '.join(sorted(keys))})", reference, source)


def correct_frequencies(
    model: PreTrainedModel, header: GgufHeader, reference: str, source: str
) -> None:
    """Divide the rotary frequencies by the file's factors, as llama.cpp does for Llama 3.1.

    Raises `ModelError` where there are no such frequencies.
    """
    if FREQUENCIES not in header.tensors:
        return
    factors = header.float_tensor(FREQUENCIES)
    tables = [
        (name, buffer)
        for name, buffer in model.named_buffers()
        if name.rpartition(".")[2] in {"inv_freq", "original_inv_freq"}
    ]
    if (
        factors is None
        or not tables
        or any(buffer.shape != (len(factors),) for _, buffer in tables)
    ):
        raise _refused(f"has a frequency for each pair of dimensions ({FREQUENCIES})",
                       reference, source)  # fmt: skip
    for _, buffer in tables:
        buffer.div_(torch.tensor(factors, dtype=buffer.dtype, device=buffer.device))


def _refused(what: str, reference: str, source: str) -> ModelError:
    return ModelError(
        f"{reference} {what}, which transformers doesn't read from a GGUF file: every hidden state "
        "would be wrong",
        source=source,
        remedy="give the folder or hub id of the model that the file was made from",
    )
