"""A model reads another's replies: how likely it finds them.

Axes: b replies of a batch, p positions, v vocabulary.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

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
    shortest_first = sorted(range(len(rows)), key=lambda row: sum(map(len, rows[row])))
    found = dict.fromkeys(range(len(rows)), 0.0)
    with progress.phase(f"reading replies with the {label}", len(rows), "reply") as bar:
        size = alone_or(BATCH, model)
        for start in range(0, len(rows), size):
            batch = shortest_first[start : start + size]
            found.update(zip(batch, _read(model, [rows[row] for row in batch]), strict=True))
            bar.advance(len(batch))
    return [*found.values()]


def _read(model: LoadedModel, rows: Sequence[tuple[list[int], list[int]]]) -> Iterator[float]:
    width = max(len(asked) + len(said) for asked, said in rows)
    ids_bp = torch.zeros(len(rows), width, dtype=torch.long)
    mask_bp = torch.zeros_like(ids_bp)
    for row, (asked, said) in enumerate(rows):
        ids = torch.tensor([*asked, *said])
        ids_bp[row, : len(ids)], mask_bp[row, : len(ids)] = ids, 1
    inputs: dict[str, Any] = {
        "input_ids": ids_bp.to(model.device),
        "attention_mask": mask_bp.to(model.device),
    }
    if "logits_to_keep" in inspect.signature(model.model.forward).parameters:
        inputs |= {"logits_to_keep": width - min(len(asked) for asked, _ in rows) + 1}
    with silence_transformers(), torch.inference_mode():
        logits_bpv = model.model(**inputs).logits
    before = width - logits_bpv.shape[1]
    for row, (asked, said) in enumerate(rows):
        behind = slice(len(asked) - 1 - before, len(asked) + len(said) - 1 - before)
        log_p_pv = logits_bpv[row, behind].float().log_softmax(-1).cpu()
        chosen_p = torch.tensor(said, dtype=torch.long)
        yield float(log_p_pv.gather(1, chosen_p[:, None]).double().mean()) if said else 0.0
