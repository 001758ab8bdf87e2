"""A model answers prompts: greedily, in batches, resumable, with what it nearly said.

Axes: b prompts of a batch, p positions, v vocabulary.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import transformers
from torch import Tensor

from pytest_crossdiff.engine.activations.chat_templates import Chat
from pytest_crossdiff.engine.models.loading.load import silence_transformers
from pytest_crossdiff.errors import ModelError
from pytest_crossdiff.results.result import build

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from transformers import PreTrainedTokenizerBase

    from pytest_crossdiff.engine.corpus.prompts import Prompt
    from pytest_crossdiff.engine.models.loaded import LoadedModel
    from pytest_crossdiff.progress import Progress
    from pytest_crossdiff.store.cache import Entry

BATCH = 16
"""Prompts that are answered together."""
NAMED = 5
"""Tokens that are kept of each step, the likeliest first."""

Likeliest = tuple[tuple[str, float], ...]
"""Tokens with their probabilities."""


class WritesNothingError(ModelError):
    """A model that has no replies, whatever it is asked."""


@dataclass(frozen=True)
class Written:
    """One model's reply to a prompt.

    ids: its tokens, the one that ends it included where it `ended` before the limit.  starts: the
    character of `text` at which each token begins.  likeliest: for each token what the model found
    likeliest there.  log_p: the log of the reply's probability, nats, summed over its tokens.
    """

    text: str
    ended: bool
    ids: tuple[int, ...]
    starts: tuple[int, ...]
    likeliest: tuple[Likeliest, ...]
    log_p: float

    @property
    def mean_log_p(self) -> float:
        """The same for a token, on average; 0 where the reply has none."""
        return self.log_p / len(self.ids) if self.ids else 0.0


def answer(
    model: LoadedModel,
    prompts: Sequence[Prompt],
    entry: Entry,
    *,
    tokens: int,
    label: str,
    progress: Progress,
) -> None:
    """Write the model's replies of at most so many tokens to `entry`, and complete it.

    A killed run goes on after its last finished batch.  Raises `ModelError` where the model has no
    chat template, `WritesNothingError` where it has no head that writes.
    """
    if not writes_text(model):
        raise WritesNothingError(
            f"{model.reference.reference} writes no text, so it has no replies",
            source=model.reference.source,
            remedy="set crossdiff_replies = 0",
        )
    with progress.phase(f"replies of the {label}", len(prompts), "reply") as bar:
        size = alone_or(BATCH, model)
        for start in range(0, len(prompts), size):
            name, batch = f"batch-{start:05}.json", prompts[start : start + size]
            if not entry.has(name):
                made = [dataclasses.asdict(reply) for reply in _answers(model, batch, tokens)]
                entry.write(name, json.dumps(made, ensure_ascii=False).encode())
            bar.advance(len(batch))
    meta = {"model": model.reference.reference, "tokens": tokens, "replies": len(prompts)}
    entry.complete(meta | {"vocabulary": vocabulary_digest(model.tokenizer)})


def writes_text(model: LoadedModel) -> bool:
    """Whether a model has a head that writes."""
    return model.head == "causal" and bool(model.model.can_generate())


def read_replies(entry: Entry) -> list[Written]:
    """What `answer` wrote.  Raises `DamagedEntry`."""
    manifest = entry.read_manifest()
    assert manifest is not None, "replies are read when they are complete"
    batches = (json.loads(entry.read_bytes(name)) for name in sorted(manifest.files))
    return [build(Written, reply) for batch in batches for reply in batch]


def vocabulary_of(entry: Entry) -> str:
    """The digest of the vocabulary in which the replies of `entry` are written."""
    manifest = entry.read_manifest()
    assert manifest is not None, "replies are read when they are complete"
    return str(manifest.meta["vocabulary"])


def prompt_ids(prompt: Prompt, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """The prompt as the model reads it, up to where its answer begins."""
    text = Chat(prompt.messages, tokenizer, prompt.tools).write(prompt=True)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def alone_or(together: int, model: LoadedModel) -> int:
    """How many texts share a batch: one where padding, or another text, would change them."""
    return together if model.batching == "padded" else 1


def vocabulary_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """Of all tokens with their numbers: models that agree in it can read each other's tokens."""
    words = sorted(tokenizer.get_vocab().items())
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()


def ends(model: LoadedModel) -> list[int]:
    """The tokens that end a reply."""
    given = getattr(model.model.generation_config, "eos_token_id", None)
    listed = given if isinstance(given, list) else [given]
    found = {token for token in (*listed, model.tokenizer.eos_token_id) if token is not None}
    return sorted(found)


def _answers(model: LoadedModel, batch: Sequence[Prompt], tokens: int) -> Iterator[Written]:
    yield from continuations(
        model, [prompt_ids(prompt, model.tokenizer) for prompt in batch], tokens
    )


def continuations(model: LoadedModel, asked: Sequence[list[int]], tokens: int) -> Iterator[Written]:
    """What the model writes after each of the inputs, in one batch, at most so many tokens."""
    steps, stop = _Steps(), ends(model)
    greedy = {"do_sample": False, "num_beams": 1, "no_repeat_ngram_size": 0, "min_length": 0}
    for row, new in enumerate(generate(model, asked, tokens, steps, **greedy)):
        last = next((i for i, token in enumerate(new) if token in stop), None)
        yield _reply(model, new if last is None else new[: last + 1], last is not None, steps, row)


def generate(
    model: LoadedModel,
    asked: Sequence[list[int]],
    tokens: int,
    *processors: transformers.LogitsProcessor,
    **chosen: float,
) -> list[list[int]]:
    """The tokens that the model writes after each of the inputs, in one batch, at most so many;
    behind the one that ends a row comes filler.

    chosen: fields of a `GenerationConfig`.  What is left unset here transformers takes from the
    model's own.
    """
    width, stop = max(map(len, asked)), ends(model)
    filler = stop[0] if stop else 0
    ids_bp = torch.tensor([[filler] * (width - len(ids)) + ids for ids in asked])
    mask_bp = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in asked])
    config: Any = transformers.GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=tokens,
        repetition_penalty=1.0,
        eos_token_id=stop or None,
        pad_token_id=filler,
        **chosen,
    )
    with silence_transformers(), torch.inference_mode():
        made_bp = model.model.generate(  # type: ignore[operator]
            ids_bp.to(model.device),
            attention_mask=mask_bp.to(model.device),
            generation_config=config,
            logits_processor=transformers.LogitsProcessorList(processors),
        )
    made: list[list[int]] = made_bp[:, width:].tolist()
    return made


class _Steps(transformers.LogitsProcessor):
    """Keeps, at each step, the likeliest tokens with their probabilities, and changes nothing."""

    def __init__(self) -> None:
        self.ids: list[Tensor] = []
        self.log_p: list[Tensor] = []

    def __call__(self, _ids_bp: Tensor, scores_bv: Tensor) -> Tensor:
        found = scores_bv.float().log_softmax(-1).topk(min(NAMED, scores_bv.shape[-1]))
        self.ids.append(found.indices.cpu())
        self.log_p.append(found.values.cpu())
        return scores_bv


def _reply(model: LoadedModel, ids: list[int], ended: bool, steps: _Steps, row: int) -> Written:
    said = ids[:-1] if ended else ids

    def text(these: list[int]) -> str:
        return str(model.tokenizer.decode(these, skip_special_tokens=True))

    likeliest: list[Likeliest] = []
    total = 0.0
    for step, token in enumerate(ids):
        named, log_p = steps.ids[step][row].tolist(), steps.log_p[step][row]
        names = (str(model.tokenizer.decode([name])) for name in named)
        likeliest.append(tuple(zip(names, log_p.exp().tolist(), strict=True)))
        total += float(log_p[named.index(token)])  # of equally likely ones it need not be the first
    starts = (len(text(said[:i])) for i in range(len(ids)))
    return Written(text(said), ended, tuple(ids), tuple(starts), tuple(likeliest), total)
