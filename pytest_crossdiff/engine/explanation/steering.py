"""What a direction of the residual stream makes a language model say.

Axes: b texts of a batch, p positions, d model width, s directions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import transformers

from pytest_crossdiff.engine.explanation.intervention import read_out, record, steered
from pytest_crossdiff.engine.models.loading.load import silence_transformers
from pytest_crossdiff.engine.models.reading.source_and_target import TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from pytest_crossdiff.engine.activations.passages import Passages
    from pytest_crossdiff.engine.models.loaded import LoadedModel

GENERATED_TOKENS = 20
"""Tokens that a model writes."""
LISTED, CANDIDATES = 8, 64
"""Tokens that are named, and among how many readable ones are looked for."""


def generate_steered(
    loaded: LoadedModel, text: Passages, peaks: Sequence[Tensor]
) -> tuple[str, str, list[str]]:
    """The beginning of a text, how the model goes on, and how it does with each of `peaks` added at
    every position; "" where it writes nothing.
    """
    ids, prompt = text.prompt()
    model: Any = loaded.model
    writes = loaded.head == "causal" and loaded.form == TEXT and model.can_generate()
    if not writes or not prompt:
        return "", "", [""] * len(peaks)
    change_bd = torch.stack([torch.zeros(loaded.width), *peaks])
    ids = ids.expand(len(change_bd), -1).to(loaded.device)
    ends = model.generation_config.eos_token_id
    config: Any = transformers.GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=GENERATED_TOKENS,
        do_sample=False,
        eos_token_id=ends,
        pad_token_id=ends[0] if isinstance(ends, list) else ends or 0,
    )
    with silence_transformers(), torch.inference_mode(), steered(loaded, change_bd):
        made = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
    new = made[:, ids.shape[1] :].tolist()
    plain, *changed = (_text(loaded, row) for row in new)
    return prompt, plain, changed


def promoted(
    loaded: LoadedModel, peaks: Sequence[Tensor]
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The tokens whose logits each of `peaks` raises and lowers most through the model's own final
    norm and unembedding: the logits of d less those of -d, which leaves what is linear in d.
    """
    if loaded.head != "causal":
        return [((), ())] * len(peaks)
    d_sd = torch.stack([peak / peak.norm().clamp(min=1e-30) for peak in peaks])
    x_bpd = loaded.width**0.5 * torch.cat([d_sd, -d_sd])[None]
    recorded = record(loaded, torch.zeros(x_bpd.shape[:2], dtype=torch.long))
    up, down = read_out(loaded, recorded, x_bpd)[0].float().cpu().chunk(2)
    return [
        (readable_tokens(loaded, raised), readable_tokens(loaded, -raised)) for raised in up - down
    ]


def readable_tokens(loaded: LoadedModel, score_v: Tensor) -> tuple[str, ...]:
    """Of the tokens, or tags, with the highest scores above 0 those that can be read."""
    special = set(loaded.tokenizer.all_special_ids)
    known = len(loaded.tokenizer)
    config: Any = loaded.model.config
    found: list[str] = []
    for token in score_v.argsort(descending=True, stable=True)[:CANDIDATES].tolist():
        if loaded.head == "tags":
            word = str(config.id2label[token])
        else:
            word = _text(loaded, [token]) if token < known and token not in special else ""
        if score_v[token] > 0 and word.strip() and "\ufffd" not in word and word not in found:
            found.append(word)
    return tuple(found[:LISTED])


def _text(loaded: LoadedModel, ids: list[int]) -> str:
    return str(loaded.tokenizer.decode(ids, skip_special_tokens=True))
