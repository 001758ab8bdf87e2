"""A model reads another's replies: how likely it finds them.

Axes: b replies of a batch, p positions, v vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from pytest_crossdiff.engine.models.loading.load import silence_transformers
from pytest_crossdiff.engine.replies.write import alone_or, prompt_ids, vocabulary_digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytest_crossdiff.engine.corpus.prompts import Prompt
    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.engine.replies.write import Written
    from pytest_crossdiff.progress import Progress

BATCH = 8
"""Replies that are read together."""


def log_probabilities(
    model: LoadedModel,
    prompts: Sequence[Prompt],
    replies: Sequence[Written],
    writer_vocabulary: str,
    *,
    label: str,
    progress: Progress,
) -> list[float]:
    """The mean log of the probability that the model gives to a token of each reply, nats.

    With the writer's vocabulary it reads the writer's own tokens, the end of the reply among them;
    with another one the reply's text, cut into its own tokens, without the end.
    """
    same = vocabulary_digest(model.tokenizer) == writer_vocabulary
    rows = []
    for prompt, reply in zip(prompts, replies, strict=True):
        ids = reply.ids if same else model.tokenizer(reply.text, add_special_tokens=False).input_ids
        rows.append((prompt_ids(prompt, model.tokenizer), list(ids)))
    found: list[float] = []
    with progress.phase(f"reading replies with the {label}", len(rows), "reply") as bar:
        size = alone_or(BATCH, model)
        for start in range(0, len(rows), size):
            found += _read(model, rows[start : start + size])
            bar.advance(min(size, len(rows) - start))
    return found


def _read(model: LoadedModel, rows: Sequence[tuple[list[int], list[int]]]) -> Iterator[float]:
    width = max(len(asked) + len(said) for asked, said in rows)
    ids_bp = torch.zeros(len(rows), width, dtype=torch.long)
    mask_bp = torch.zeros_like(ids_bp)
    for row, (asked, said) in enumerate(rows):
        ids = torch.tensor([*asked, *said])
        ids_bp[row, : len(ids)], mask_bp[row, : len(ids)] = ids, 1
    with silence_transformers(), torch.inference_mode():
        logits_bpv = model.model(
            input_ids=ids_bp.to(model.device), attention_mask=mask_bp.to(model.device)
        ).logits
    for row, (asked, said) in enumerate(rows):
        behind = slice(len(asked) - 1, len(asked) + len(said) - 1)
        log_p_pv = logits_bpv[row, behind].float().log_softmax(-1).cpu()
        chosen_p = torch.tensor(said, dtype=torch.long)
        yield float(log_p_pv.gather(1, chosen_p[:, None]).double().mean()) if said else 0.0
